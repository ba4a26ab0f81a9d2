"""The parts of site.yml by tags and by hosts: a run of one takes that part and what runs always."""

from __future__ import annotations

import re

import pytest

from tests.playbook import run_playbook

HYBRID = "--inventory=inventories/hybrid"
#: The play of each part, and a task by which it is known.
PARTS = {
    "private_model": ("Private side (model, gateway)", "Model servers"),
    "skupper": ("Network between the sides (Skupper)", "Join the site"),
    "public_chatbot": ("Public side (chatbot)", "On a cluster"),
}
Tasks = dict[str, dict[str, set[str]]]


def listed(*arguments: str) -> Tasks:
    """The tasks that a run would take, each with its tags, by their play; without their roles' names."""
    found: Tasks = {}
    tasks: dict[str, set[str]] = {}
    for line in run_playbook(HYBRID, "site.yml", "--list-tasks", *arguments).splitlines():
        play = re.match(r" {2}play #\d+ \(.*?\): (.*?)\s+TAGS: ", line)
        task = re.match(r" {6}(?:.* : )?(.+?)\s+TAGS: \[(.*)\]", line)
        if play:
            tasks = found.setdefault(play[1], {})
        elif task:
            tasks.setdefault(task[1], set()).update(task[2].split(", "))
    return found


@pytest.fixture(scope="module")
def whole() -> Tasks:
    """The run of all."""
    return listed()


@pytest.mark.parametrize("tag", PARTS)
def test_a_tag_takes_its_part_whole_and_of_the_others_what_runs_always(tag: str, whole: Tasks) -> None:
    found = listed(f"--tags={tag}")
    play, known = PARTS[tag]
    assert known in found[play] and found[play] == whole[play]
    # Also what runs always, which hands the tag on to what it includes.
    assert all(tag in tags for tags in found[play].values()), found[play]
    others = {
        name: tasks
        for name, tasks in found.items()
        if tag not in {each for one in tasks.values() for each in one}
    }
    assert {PARTS[one][0] for one in PARTS if one != tag} <= set(others)
    for tasks in others.values():
        assert all("always" in tags for tags in tasks.values()), tasks


def test_what_runs_always_does_so_with_any_tag(whole: Tasks) -> None:
    kept = {(play, name) for play, tasks in whole.items() for name, tags in tasks.items() if "always" in tags}
    found = {(play, name) for play, tasks in listed("--tags=serve").items() for name in tasks}
    assert kept < found
    # And of the rest what had this tag before.
    assert found - kept == {
        (PARTS["private_model"][0], name)
        for name, tags in whole[PARTS["private_model"][0]].items()
        if "serve" in tags
    }


@pytest.mark.parametrize(
    "side, plays, others",
    [
        ("private", ("private_model", "skupper"), ("public_chatbot",)),
        ("public", ("public_chatbot", "skupper"), ("private_model",)),
    ],
)
def test_a_side_by_itself_takes_no_host_of_the_other(
    side: str, plays: tuple[str, ...], others: tuple[str, ...]
) -> None:
    said = run_playbook(HYBRID, "site.yml", "--list-hosts", f"--limit={side}")
    hosts = {
        play: int(count)
        for play, count in re.findall(r"play #\d+ \(.*?\): (.*?)\s+TAGS: .*\n.*\n\s+hosts \((\d+)\)", said)
    }
    assert {one: hosts[PARTS[one][0]] for one in (*plays, *others)} == {
        **dict.fromkeys(plays, 1),
        **dict.fromkeys(others, 0),
    }
