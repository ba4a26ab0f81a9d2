"""All commands with their flags, which differ by platform.

The words of usage texts are the program's where its output was recorded, and short ones of our own
elsewhere: nothing may depend on them.
"""

from __future__ import annotations

from .command import Command, Flag

PLATFORMS = ("kubernetes", "podman", "docker", "linux")
MINUTE = 60.0
SIMPLE = "simple:version"
STATUS = Flag("output", "", "print status of connectors Choices: json, yaml", "o")
GENERATE = Flag("output", "yaml", "print the resource, and submit nothing. Choices: json, yaml", "o")
LINK_ACCESS = Flag("enable-link-access", False, "allow links from remote sites", kind="bool")
KEY = Flag("routing-key", "", "what listeners and connectors have in common")
TLS = Flag("tls-credentials", "", "the name of a Secret with TLS credentials")
TYPE = Flag("type", "tcp", "the kind of traffic. Choices: [tcp]")
COST = Flag("cost", "1", "the cost of traffic over the link")
PORT = Flag("port", 0, "the port", kind="int")
DELETE_WAIT = Flag("wait", True, "wait until it is gone", kind="bool")
KEY_R = Flag("routing-key", "", "what listeners and connectors have in common", "r")


def _timeout(seconds: float) -> Flag:
    return Flag("timeout", seconds, "the longest time to wait", kind="duration")


def _wait(default: str) -> Flag:
    return Flag("wait", default, "the state to wait for. Choices: configured, ready, none")


def _host(default: str = "") -> Flag:
    return Flag("host", default, "the host name or address")


def _site(kube: bool) -> Command:
    access = [LINK_ACCESS]
    if kube:
        access += [
            Flag("link-access-type", "", "how others reach this site. Choices: [route|loadbalancer|default]"),
            Flag("enable-ha", False, "two routers", kind="bool"),
        ]
    waits = (
        [[_timeout(3 * MINUTE), _wait("ready")], [_timeout(MINUTE / 2), _wait("ready")]] if kube else [[], []]
    )
    ends = [_timeout(MINUTE), DELETE_WAIT] if kube else []
    everything = Flag("all", False, "delete everything of Skupper in the namespace", kind="bool")
    return Command(
        "site",
        "A site is where skupper is deployed and components of your application are running.",
        children=[
            Command(
                "create <name>",
                "Create a new site",
                flags=access + waits[0],
                kube="kube_site:create",
                local="local_nouns:site_create",
            ),
            Command(
                "update <name>",
                "Change site settings",
                flags=access + waits[1],
                kube="kube_site:update",
                local="local_nouns:site_update",
            ),
            Command(
                "status",
                "Get the site status",
                flags=[STATUS],
                kube="kube_site:status",
                local="local_nouns:site_status",
            ),
            Command(
                "delete",
                "Delete a site",
                flags=[everything, *ends],
                kube="kube_site:delete",
                local="local_nouns:site_delete",
            ),
            Command(
                "generate <name>",
                "Print a site",
                flags=[*access, GENERATE],
                kube="kube_site:generate",
                local="local_nouns:site_generate",
            ),
        ],
    )


def _services(kube: bool, kind: str) -> Command:
    """`listener` or `connector`; small differences between their flags are the program's."""
    noun = kind.lower()
    connector = kind == "Connector"
    key = KEY_R if connector else KEY
    common = [TLS, TYPE]
    extra = [_host("" if kube or not connector else "localhost")]
    if connector and kube:
        extra += [
            Flag("include-not-ready", False, "also pods that are not ready", kind="bool"),
            Flag("selector", "", "a label of the pods"),
            Flag("workload", "", "deployment|service|daemonset|statefulset/name"),
        ]
    waits = [_timeout(MINUTE), _wait("configured")] if kube else []
    ends = [_timeout(MINUTE), DELETE_WAIT] if kube or connector else []
    module = "kube_connector" if connector else "kube_listener"
    about = (
        "Binds target workloads in the local site to listeners in remote sites."
        if connector
        else "Binds a connection endpoint in the local site to target workloads in remote sites."
    )

    return Command(
        noun,
        about,
        children=[
            Command(
                "create <name> <port>",
                f"create a {noun}",
                flags=[key, *common, *extra, *waits],
                kube=f"{module}:create",
                local=f"local_nouns:create:{kind}",
            ),
            Command(
                "update <name>",
                f"update a {noun}",
                flags=[key, *common, *extra, PORT, *waits],
                kube=f"{module}:update",
                local=f"local_nouns:update:{kind}",
            ),
            Command(
                "status <name>",
                f"get status of {noun}s",
                flags=[STATUS],
                kube=f"{module}:show",
                local=f"local_nouns:show:{kind}",
            ),
            Command(
                "delete <name>",
                f"delete a {noun}",
                flags=ends,
                kube=f"{module}:delete",
                local=f"local_nouns:delete:{kind}",
            ),
            Command(
                "generate <name> <port>",
                f"print a {noun}",
                flags=[KEY, *common, *extra, GENERATE],
                kube=f"{module}:generate",
                local=f"local_nouns:generate:{kind}",
            ),
        ],
    )


def _link(kube: bool) -> Command:
    generate = [Flag("name", "", "the RouterAccess' name"), _host()]
    if kube:
        credential = Flag("generate-credential", True, "make the credentials that a link needs", kind="bool")
        generate = [TLS, COST, GENERATE, credential, _timeout(MINUTE)]
    return Command(
        "link",
        "A site-to-site communication channel",
        children=[
            Command(
                "generate",
                "Print a link to this site",
                flags=generate,
                kube="kube_link:generate",
                local="local_nouns:link_generate",
            ),
            Command(
                "update <name>",
                "Change link settings",
                flags=[TLS, COST, _timeout(MINUTE), *([_wait("ready")] if kube else [])],
                kube="kube_link:update",
                local="local_nouns:unsupported",
            ),
            Command(
                "status",
                "Display the status",
                flags=[STATUS],
                kube="kube_link:show",
                local="local_nouns:link_status",
            ),
            Command(
                "delete <name>",
                "Delete a link",
                flags=[_timeout(MINUTE), *([DELETE_WAIT] if kube else [])],
                kube="kube_link:delete",
                local="local_nouns:link_delete",
            ),
        ],
    )


def _token() -> Command:
    issue = [
        Flag("redemptions-allowed", 1, "how often a token can be redeemed", kind="int"),
        Flag("expiration-window", 15 * MINUTE, "how long a token can be redeemed", kind="duration"),
        _timeout(MINUTE),
        COST,
    ]
    return Command(
        "token",
        "Security mechanism for creating connections between Skupper sites.",
        children=[
            Command(
                "issue <fileName>",
                "issue a token",
                flags=issue,
                kube="kube_token:issue",
                local="local_nouns:unsupported",
            ),
            Command(
                "redeem <filename>",
                "redeem a token",
                flags=[_timeout(MINUTE)],
                kube="kube_token:redeem",
                local="local_token:run",
            ),
        ],
    )


def _system() -> Command:
    file = Flag("filename", "", "a file of resources", "f")
    force = Flag("force", False, "delete all sites, active or not", "f", "bool")
    reload = Flag("reload-type", "manual", "Choices: manual, auto")
    bundle = [
        Flag("input", "", "the directory of the site's resources"),
        Flag("type", "tarball", "Choices: tarball, shell-script"),
    ]
    words: list[tuple[str, str, str, list[Flag]]] = [
        (
            "start",
            "Create a non-kube site based on provided Skupper Custom Resources",
            "local_system:start",
            [],
        ),
        (
            "reload",
            "Forces to overwrite an existing namespace based on input/resources",
            "local_system:reload",
            [],
        ),
        (
            "stop",
            "Remove the Skupper components and resources from the from the current namespace",
            "local_system:stop",
            [],
        ),
        (
            "install",
            "Install local system infrastructure and configure the environment",
            "controller:install",
            [reload],
        ),
        ("uninstall", "Remove local system infrastructure", "controller:uninstall", [force]),
        ("generate-bundle <bundle-file>", "Generate a bundle", "bundle:generate", bundle),
        ("apply", "Create or update resources using files or standard input.", "local_system:apply", [file]),
        ("delete", "Delete resources using files or standard input.", "local_system:delete", [file]),
    ]
    return Command(
        "system",
        "non-kubernetes sites are static and Custom Resources need to be provided.",
        "Non-kubernetes sites can be created using the standard V2 site declaration \n"
        "approach, which is based on the new set of Custom Resource Definitions (CRDs).",
        "system start -n my-namespace",
        children=[
            Command(use, short, flags=flags, kube="simple:not_here", local=run)
            for use, short, run, flags in words
        ],
    )


def _adopt(command: Command, inherited: list[Flag]) -> None:
    command.inherited = inherited
    for child in command.children:
        child.parent = command
        _adopt(child, inherited)


def root(platform: str) -> Command:
    """The program's commands on a platform."""
    kube = platform == "kubernetes"
    names = ", ".join(PLATFORMS)
    flags = [
        Flag("platform", "", f"Set the platform type to use [{names}]", "p"),
        Flag("namespace", "", "Set the namespace", "n"),
    ]
    if kube:
        flags += [
            Flag("context", "", "Set the kubeconfig context", "c"),
            Flag("kubeconfig", "", "Path to the kubeconfig file to use"),
        ]
    top = Command(
        "skupper",
        "Skupper is a tool for secure, cross-cluster Kubernetes communication",
        children=[
            _site(kube),
            _token(),
            _services(kube, "Listener"),
            _link(kube),
            _services(kube, "Connector"),
            Command(
                "version", "Display the Skupper CLI version.", kube="simple:version", local="simple:version"
            ),
            Command("debug", "debug site details"),
            Command("completion", "Generate the autocompletion script for the specified shell"),
            _system(),
        ],
    )
    _adopt(top, flags)
    return top
