"""Stand-in for Skupper's network observer: the text that its `/metrics` says, for two linked sites.

Names, labels and their values are those of skupper 2.2 (cmd/network-observer/internal/collector); the
counters grow with each scrape. Only what the dashboard and the rules ask for is here, and nothing else of the
observer.

    python tests/standins/network_observer.py --port P [--links-down N]
"""

from __future__ import annotations

import argparse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FLOW = (
    'source_site_id="s-public",dest_site_id="s-private",source_site_name="public",dest_site_name="private",'
    'source_component_id="c1",dest_component_id="c2",source_component_name="chatbot",'
    'dest_component_name="gateway",routing_key="instructlab",protocol="tcp",'
    'source_process_name="chatbot-1",dest_process_name="gateway"'
)


class Observer(BaseHTTPRequestHandler):
    """Answers GET /metrics."""

    links_down = 0
    scrapes = 0

    def do_GET(self) -> None:
        """The metrics, a little more each time."""
        kind = type(self)
        kind.scrapes += 1
        count = kind.scrapes
        lines = [
            'skupper_site_info{site_id="s-public",name="public",version="2.2.1"} 1',
            'skupper_site_info{site_id="s-private",name="private",version="2.2.1"} 1',
            'skupper_routers_total{site_id="s-public",mode="interior"} 1',
            'skupper_routers_total{site_id="s-private",mode="edge"} 1',
            'skupper_site_listeners_total{site_id="s-public"} 1',
            'skupper_site_connectors_total{site_id="s-private"} 1',
            f'skupper_site_links_total{{site_id="s-private",role="edge",status="up"}} {1 - kind.links_down}',
            f'skupper_site_links_total{{site_id="s-private",role="edge",status="down"}} {kind.links_down}',
            f'skupper_site_link_errors_total{{site_id="s-private",role="edge"}} {count * kind.links_down}',
            f"skupper_connections_opened_total{{{FLOW}}} {count * 3}",
            f"skupper_connections_closed_total{{{FLOW}}} {count * 3 - 1}",
            f"skupper_sent_bytes_total{{{FLOW}}} {count * 700}",
            f"skupper_received_bytes_total{{{FLOW}}} {count * 9000}",
        ]
        body = ("\n".join(lines) + "\n").encode()
        self.send_response(200 if self.path == "/metrics" else 404)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--links-down", type=int, default=0)
    options = parser.parse_args()
    Observer.links_down = options.links_down
    ThreadingHTTPServer(("127.0.0.1", options.port), Observer).serve_forever()


if __name__ == "__main__":
    main()
