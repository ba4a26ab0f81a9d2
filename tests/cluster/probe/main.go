// The one program in the image of the test pods: it waits, serves and asks, without a shell or a library.
//
//	probe pause                    waits and collects orphans; also what keeps a pod's network
//	probe serve [ADDRESS...]       answers with its host name; /headers, /stream?n=&ms=, /burn?seconds=
//	probe get [-t SECONDS] URL     prints the status and the body; fails unless an answer came
//	probe tcp [-t SECONDS] HOST:PORT
//	probe dns NAME                 prints the addresses
//	probe udp [-t SECONDS] HOST:PORT  sends a datagram and awaits an echo
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("no command; see the source"))
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	seconds := flags.Int("t", 5, "how long to try")
	if err := flags.Parse(os.Args[2:]); err != nil {
		fail(err)
	}
	limit := time.Duration(*seconds) * time.Second
	switch os.Args[1] {
	case "pause":
		pause()
	case "serve":
		serve(flags.Args())
	case "get":
		get(flags.Arg(0), limit)
	case "tcp":
		connection, err := net.DialTimeout("tcp", flags.Arg(0), limit)
		fail(err)
		connection.Close()
		fmt.Println("connected")
	case "udp":
		udp(flags.Arg(0), limit)
	case "dns":
		scope, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		addresses, err := net.DefaultResolver.LookupHost(scope, flags.Arg(0))
		fail(err)
		for _, address := range addresses {
			fmt.Println(address)
		}
	default:
		fail(fmt.Errorf("unknown command %q", os.Args[1]))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func pause() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for one := range signals {
		if one != syscall.SIGCHLD {
			os.Exit(0)
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}

func serve(addresses []string) {
	if len(addresses) == 0 {
		addresses = []string{":8080"}
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		name, _ := os.Hostname()
		fmt.Fprintf(w, "%s %s\n", name, r.URL.RequestURI())
	})
	http.HandleFunc("/headers", func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Host", r.Host)
		r.Header.Set("Remote", r.RemoteAddr)
		json.NewEncoder(w).Encode(r.Header)
	})
	http.HandleFunc("/stream", stream)
	http.HandleFunc("/burn", func(w http.ResponseWriter, r *http.Request) {
		end := time.Now().Add(time.Duration(number(r, "seconds", 30)) * time.Second)
		go func() {
			for time.Now().Before(end) {
			}
		}()
		fmt.Fprintln(w, "burning")
	})
	for _, address := range addresses {
		packets, err := net.ListenPacket("udp", address)
		fail(err)
		go echo(packets)
		listener, err := net.Listen("tcp", address)
		fail(err)
		go func() { fail(http.Serve(listener, nil)) }()
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	<-end
}

// Server-sent events, n of them, ms milliseconds apart.
func stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for event := range number(r, "n", 10) {
		if _, err := fmt.Fprintf(w, "data: %d\n\n", event); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		time.Sleep(time.Duration(number(r, "ms", 100)) * time.Millisecond)
	}
}

func number(r *http.Request, name string, otherwise int) int {
	if value, err := strconv.Atoi(r.URL.Query().Get(name)); err == nil {
		return value
	}
	return otherwise
}

func echo(packets net.PacketConn) {
	buffer := make([]byte, 2048)
	for {
		size, sender, err := packets.ReadFrom(buffer)
		fail(err)
		packets.WriteTo(buffer[:size], sender)
	}
}

func get(url string, limit time.Duration) {
	// Whether the certificate is trusted is asked elsewhere; here it is whether bytes arrive.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	client := http.Client{Timeout: limit, Transport: transport}
	answer, err := client.Get(url)
	fail(err)
	defer answer.Body.Close()
	fmt.Println(answer.StatusCode)
	_, err = io.Copy(os.Stdout, answer.Body)
	fail(err)
}

func udp(address string, limit time.Duration) {
	connection, err := net.Dial("udp", address)
	fail(err)
	fail(connection.SetDeadline(time.Now().Add(limit)))
	_, err = connection.Write([]byte("hello"))
	fail(err)
	size, err := connection.Read(make([]byte, 16))
	fail(err)
	fmt.Println(size, "bytes")
}
