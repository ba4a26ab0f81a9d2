#!/usr/bin/env bash
# Process 1 of a node of the test cluster, in network, mount and process namespaces of its own.
#   node-init.sh FOLDER ADDRESS/LENGTH GATEWAY CLUSTER PODS [ROUTE VIA]...
# FOLDER holds the configurations, the logs and what the node stores. When this ends, everything in the node ends.
set -eu
folder=$1 address=$2 gateway=$3 cluster=$4 pods=$5
shift 5

# Private places: two nodes and this machine share a file system.
mount -t tmpfs -o mode=755 tmpfs /run
for place in /var/lib /var/log; do
  mkdir -p "$folder$place"
  mount --bind "$folder$place" "$place"
done

# The kubelet reads kmsg, which a container or a small root may not have.
mkdir /run/dev
mount -t tmpfs -o mode=755 tmpfs /run/dev
mkdir /run/dev/pts /run/dev/shm
while read -r name major minor; do
  mknod -m 666 "/run/dev/$name" c "$major" "$minor"
done <<'DEVICES'
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
kmsg 1 11
tty 5 0
DEVICES
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts /run/dev/pts
mount -t tmpfs -o mode=1777 tmpfs /run/dev/shm
ln -s pts/ptmx /run/dev/ptmx
ln -s /proc/self/fd /run/dev/fd
ln -s fd/0 /run/dev/stdin
ln -s fd/1 /run/dev/stdout
ln -s fd/2 /run/dev/stderr
mount --move /run/dev /dev
mount --make-rshared /

until ip link show eth0 >/dev/null 2>&1; do sleep 0.1; done
ip link set lo up
ip address add "$address" dev eth0
ip link set eth0 up
ip route add default via "$gateway"
while [ $# -gt 0 ]; do
  ip route add "$1" via "$2"
  shift 2
done
echo 1 >/proc/sys/net/ipv4/ip_forward
nft -f - <<RULES
table ip node {
  chain leave {
    type nat hook postrouting priority srcnat;
    ip saddr $pods ip daddr != $cluster masquerade
  }
}
RULES

containerd --config "$folder/containerd.toml" >>"$folder/containerd.log" 2>&1 &
"$KUBE_PROXY" --config="$folder/kube-proxy.yaml" >>"$folder/kube-proxy.log" 2>&1 &
until [ -S /run/containerd/containerd.sock ]; do sleep 0.1; done
"$KUBELET" --config="$folder/kubelet.yaml" --kubeconfig="$folder/kubeconfig" --hostname-override="$NODE" \
  --node-ip="${address%/*}" --node-labels="topology.kubernetes.io/zone=zone-${NODE#node-}" \
  >>"$folder/kubelet.log" 2>&1 &
# The first that ends takes the node with it; orphans are collected while waiting.
wait -n
