// CoreDNS with the few plugins that the test cluster's configuration names: its usual ones for other clouds
// and databases would be most of what there is to fetch and to compile.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
)

// The order in which a request passes through them.
var plugins = []string{"bind", "ready", "errors", "cache", "kubernetes"}

func main() {
	dnsserver.Directives = plugins
	coremain.Run()
}
