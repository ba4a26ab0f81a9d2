"""A node of the test cluster: containerd, kubelet and kube-proxy in namespaces of their own."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import yaml

from tests.cluster.control_plane import ControlPlane
from tests.cluster.network import Network, Plan
from tests.cluster.processes import Processes, child_of, found, make_control_groups
from tests.cluster.programs import program

INIT = Path(__file__).resolve().parent / "node-init.sh"
PROBE_IMAGE = "localhost/private-ai-test/probe:1"
CNI_FOLDERS = ("/usr/lib/cni", "/usr/libexec/cni", "/opt/cni/bin")
START_SECONDS = 60
#: In a cluster's folder: what containerd is told of registries, read at each pull.
REGISTRIES = "registries"

CONTAINERD = """\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{image}"
disable_apparmor = true
# Without CAP_SYS_RESOURCE no container starts otherwise.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{registries}"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni}"
conf_dir = "{folder}/cni"
"""


class Node:
    """Started by `start`; `pid` is its process 1 as this machine sees it."""

    def __init__(self, index: int, plan: Plan, plane: ControlPlane, folder: Path) -> None:
        self.index, self.plan, self.plane = index, plan, plane
        self.name = f"node-{index}"
        self.address = plan.node(index)
        self.folder = folder / self.name
        self.group = f"{folder.name}/{self.name}"
        self.pid = 0

    def start(self, processes: Processes, network: Network, nodes: int) -> None:
        """Start it and wait until containerd takes images; RuntimeError otherwise."""
        self._configure()
        make_control_groups(self.group)
        arguments = [str(self.folder), f"{self.address}/24", self.plan.host]
        arguments += [self.plan.everything, self.plan.pods(self.index)]
        for other in range(1, nodes + 1):
            if other != self.index:
                arguments += [self.plan.pods(other), self.plan.node(other)]
        command = [
            found("unshare", "util-linux"),
            "--net",
            "--mount",
            "--pid",
            "--ipc",
            "--fork",
            "--kill-child",
        ]
        command += ["--mount-proc", "--propagation", "private", "--"]
        variables = {
            "KUBELET": program("kubelet"),
            "KUBE_PROXY": program("kube-proxy"),
            "NODE": self.name,
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
        }
        command += ["env", *(f"{name}={value}" for name, value in variables.items()), str(INIT), *arguments]
        outer = processes.start(self.name, command)
        processes.wait(self.name, lambda: _forked(outer))
        self.pid = child_of(outer)
        network.plug(self.name, self.pid)
        processes.wait(self.name, self.socket.exists)

    @property
    def socket(self) -> Path:
        """containerd's socket, through the node's view of the file system."""
        return Path(f"/proc/{self.pid}/root/run/containerd/containerd.sock")

    def _configure(self) -> None:
        self.folder.mkdir()
        cni = next((path for path in CNI_FOLDERS if Path(path, "ptp").exists()), None)
        if not cni:
            raise RuntimeError(
                f"no CNI plugins in {', '.join(CNI_FOLDERS)}; "
                "remedy: tools/bootstrap.sh --dev (package containernetworking-plugins)"
            )
        found("containerd", "containerd")
        registries = self.folder.parent / REGISTRIES
        toml = CONTAINERD.format(image=PROBE_IMAGE, cni=cni, folder=self.folder, registries=registries)
        (self.folder / "containerd.toml").write_text(toml)
        (self.folder / "cni").mkdir()
        (self.folder / "cni/10-pods.conflist").write_text(json.dumps(self._cni()))
        (self.folder / "kubelet.yaml").write_text(yaml.safe_dump(self._kubelet()))
        (self.folder / "kube-proxy.yaml").write_text(yaml.safe_dump(self._kube_proxy()))
        user = f"system:node:{self.name}"
        kubeconfig = self.plane.write_kubeconfig(user, ("system:nodes",))
        kubeconfig.rename(self.folder / "kubeconfig")

    def _cni(self) -> dict[str, object]:
        # ptp, not bridge: what passes between pods of one node is then routed, and policies see it.
        ranges = [[{"subnet": self.plan.pods(self.index)}]]
        addresses = {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}
        plugins = [{"type": "ptp", "ipMasq": False, "ipam": addresses}]
        ports = {"type": "portmap", "capabilities": {"portMappings": True}}
        return {"cniVersion": "0.4.0", "name": "pods", "plugins": [*plugins, ports]}

    def _kubelet(self) -> dict[str, object]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {"x509": {"clientCAFile": str(self.plane.authority.certificate_file)}},
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.group}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "clusterDNS": [self.plan.dns_service],
            "clusterDomain": "cluster.local",
            "resolvConf": "",
            # Two nodes share one disk, whose owner decides how full it is; loaded images stay.
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "nodeStatusUpdateFrequency": "5s",
        }

    def _kube_proxy(self) -> dict[str, object]:
        user = "system:kube-proxy"
        kubeconfig = self.plane.write_kubeconfig(user)
        limits = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clientConnection": {"kubeconfig": str(kubeconfig)},
            "hostnameOverride": self.name,
            "clusterCIDR": self.plan.all_pods,
            "conntrack": limits,
        }


def _forked(pid: int) -> bool:
    try:
        inner = child_of(pid)
        return os.readlink(f"/proc/{inner}/ns/net") != os.readlink("/proc/self/ns/net")
    except (ProcessLookupError, FileNotFoundError):
        return False


def load(archive: Path, socket: Path) -> None:
    """Give an archive of an image to a containerd; RuntimeError with what it said when it refuses."""
    command = [
        found("ctr", "containerd"),
        "--address",
        str(socket),
        "--namespace",
        "k8s.io",
        "images",
        "import",
    ]
    end = time.monotonic() + START_SECONDS
    while True:
        done = subprocess.run(
            [*command, str(archive)], capture_output=True, text=True, timeout=300, check=False
        )
        if not done.returncode:
            return
        # The socket is there a moment before the service.
        if "Unavailable" not in done.stderr or time.monotonic() > end:
            raise RuntimeError(f"containerd does not take {archive.name}: {done.stderr[-2000:]}")
        time.sleep(0.2)
