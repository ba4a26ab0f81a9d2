"""Links, and the AccessTokens that become links."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from ..kube import KubeError, Object
from ..model import conditions
from ..model.kinds import name_of, spec_of, status_of
from ..model.redeem import Redeemed, RedeemError, redeem
from .parts import Parts
from .world import own_copy, owner

_RESPONSE = re.compile(r"^Received HTTP Response (\d+): (.*)$", re.DOTALL)


class Links(Parts):
    """Handles Links."""

    def __init__(self, controller: Any) -> None:
        super().__init__(controller)
        self._remembered: set[str] = set()

    def handle(self, event: str, link: Object) -> None:
        """One is new, has changed, or is gone."""
        namespace, uid = link["metadata"]["namespace"], link["metadata"]["uid"]
        if event == "DELETED":
            self._remembered.discard(uid)
            self.render(namespace)
            return
        first = uid not in self._remembered and not conditions.find(link, "Configured")
        self._remembered.add(uid)
        if first and self.habits.second_event:
            return
        secret = self.world.find("Secret", namespace, spec_of(link).get("tlsCredentials") or "")
        if self.active_site(namespace) is None:
            return
        new = own_copy(link)
        if secret is None and not conditions.find(link, "Configured"):
            return
        if secret is not None and secret.get("type") != "kubernetes.io/tls":
            text = f'secret "{secret["metadata"]["name"]}" is not of type kubernetes.io/tls'
            conditions.put(new, "Configured", ok=False, reason="Error", message=text)
        else:
            conditions.put(new, "Configured")
        self.world.tell(link, new)
        self.render(namespace)


class Tokens(Parts):
    """Handles AccessTokens: each event is another try, and one that reaches the server costs a redemption."""

    def handle(self, event: str, token: Object) -> None:
        """One is new, has changed, or is looked at again."""
        if event == "DELETED":
            return
        site = self.active_site(token["metadata"]["namespace"])
        if status_of(token).get("redeemed"):
            if site is None:
                self._say(token, "Already redeemed for a deleted site", redeemed=True)
            return
        if site is None:
            return
        try:
            redeemed = redeem(token, site["metadata"]["uid"], self.habits.redeem_limit)
            self._make(token, site, redeemed)
        except RedeemError as error:
            self._say(token, _words(str(error)))
        except KubeError as error:
            self._say(token, f"Controller could not create received {error}")
        else:
            self._say(token, "", redeemed=True)

    def _say(self, token: Object, wrong: str, redeemed: bool = False) -> None:
        new = own_copy(token)
        state = "Error" if wrong else "Ready"
        conditions.put(new, "Redeemed", ok=redeemed, reason=state, message=wrong or "OK")
        status_of(new).update(status=state, message=wrong or "OK")
        if redeemed:
            status_of(new)["redeemed"] = True
        self.world.tell(token, new)

    def _make(self, token: Object, site: Object, redeemed: Redeemed) -> None:
        namespace, cost = token["metadata"]["namespace"], spec_of(token).get("linkCost")
        for one in (redeemed.secret, *redeemed.links):
            one["metadata"].update(namespace=namespace, ownerReferences=owner(site))
            if one["kind"] == "Link" and cost:
                spec_of(one)["cost"] = cost
            try:
                self.world.create(one)
            except KubeError as error:
                if error.status != HTTPStatus.CONFLICT:
                    raise
                what = f'{one["kind"].lower()}: {one["kind"].lower()}s "{name_of(one)}" already exists'
                raise KubeError(error.status, what) from error


def _words(said: str) -> str:
    """The same failure as the controller tells it."""
    match = _RESPONSE.match(said)
    if match:
        status = HTTPStatus(int(match[1]))
        return f"Controller got failed response: {status.value} ({status.phrase}) {match[2].strip()}"
    return f"Controller got error: {said}"
