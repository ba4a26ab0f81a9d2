#!/usr/bin/python
# Copyright (c) the private_ai.chatbot authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask a served model questions with known answers, and count the right ones."""

from __future__ import annotations

DOCUMENTATION = r"""
module: model_evaluation
short_description: Ask a served model questions and score its answers
version_added: 0.2.0
description:
  - Asks an OpenAI-compatible server a list of questions, one after the other, and scores the answers.
    What the model thinks (C(<think>)) does not count, only what a visitor reads.
  - Writes a report, and compares it with that of an earlier model.
  - With O(subject), nothing is asked again as long as questions, settings and subject are those of the
    report; a changed way of scoring then judges the answers that are there.
  - Fails when fewer answers are right than O(minimum), O(minimums) or O(tolerance) ask for, after the
    report has been written.
extends_documentation_fragment:
  - private_ai.chatbot.podman
  - private_ai.chatbot.attributes
  - private_ai.chatbot.attributes.actiongroup_chatbot
attributes:
  check_mode:
    support: full
    details:
      - Asks nothing and says how many questions it would ask. It judges a report that is still valid.
  diff_mode:
    support: full
    details:
      - Shows the scores, not the answers.
  idempotent:
    support: full
    details:
      - Without O(subject) the model is asked each time, and the report changes when it answers otherwise.
options:
  url:
    description:
      - Address of the server, with or without C(/v1). With O(container), as it is seen inside.
    type: str
    default: http://127.0.0.1:8000
  container:
    description:
      - Name of a running container with Python in which the questions are asked, for a model that has no
        network. Nothing is installed in it.
    type: str
  api_key:
    description: Key of the server.
    type: str
  api_key_file:
    description: File on the host that holds the key.
    type: path
  model:
    description: Name of the model in the API. Without it, the first that the server lists.
    type: str
  subject:
    description:
      - What is evaluated, such as the checksum of the model and the identity of the image that serves it.
        It is written into the report, and another subject is asked anew.
    type: dict
  questions:
    description:
      - The questions. Each is a mapping with C(question), C(expect) and, if wanted, C(answer), C(language),
        C(scoring) and C(system).
      - C(expect) is a text or a list. With V(contains) all of it must be in the answer (an item that is
        itself a list holds alternatives, one of which is enough); otherwise each text in it is a right
        answer.
      - C(answer) is a whole right answer. The similarity is measured against it, or without it against
        C(expect).
      - Data that have both may keep the words in C(keywords) and the whole answer in C(expect).
    type: list
    elements: dict
  questions_file:
    description:
      - File on the host with the questions in JSON, a list, a mapping that has it under C(questions), or a
        mapping on each line.
    type: path
  scoring:
    description:
      - How an answer is judged. Case, spaces and final punctuation never count.
      - V(exact), it is one of the expected texts.
      - V(contains), the expected words are in it.
      - V(similarity), it is at least as alike to an expected text as O(similarity_threshold) says.
    type: str
    choices: [exact, contains, similarity]
    default: contains
  similarity_threshold:
    description: Least similarity of a right answer, 0 to 1, for questions that are scored by it.
    type: float
    default: 0.6
  minimum:
    description: Least share of right answers, 0 to 1.
    type: float
    default: 0.0
  minimums:
    description: Least share of right answers for a language, by language.
    type: dict
    default: {}
  baseline:
    description:
      - Report of an earlier evaluation with the same questions, to compare with. Its answers are judged anew.
      - A report that is not there, or that asked other questions, is not compared with; see O(tolerance).
    type: path
  tolerance:
    description:
      - By how much the share of right answers may be lower than in O(baseline), 0 to 1. Then the comparison
        is asked for, and one that cannot be made is an error. Without it, the figures are only shown.
    type: float
  report:
    description: File on the host that gets the report, with mode 0600. Its directory must exist.
    type: path
  force:
    description: Ask also when the report is still valid.
    type: bool
    default: false
  system:
    description: System message of questions that have none of their own.
    type: str
    default: ""
  temperature:
    description: 0 makes a model answer the same way each time.
    type: float
    default: 0.0
  top_p:
    description: Nucleus sampling.
    type: float
    default: 0.95
  max_tokens:
    description: Longest answer in tokens, thinking included.
    type: int
    default: 512
  seed:
    description: Seed of the first question; each following one has the next.
    type: int
    default: 1
  timeout:
    description: Seconds that one answer may take, waiting for a busy server included.
    type: int
    default: 120
  wait_timeout:
    description: Seconds to wait until the server answers at all.
    type: int
    default: 60
  ca_path:
    description: CA bundle that the server's certificate is checked with, instead of the host's.
    type: path
  use_proxy:
    description: Whether the proxy in the environment is used.
    type: bool
    default: false
  progress_file:
    description: File on the host to which plain lines are appended while the questions are asked.
    type: path
seealso:
  - module: private_ai.chatbot.gguf_file
author:
  - The private_ai.chatbot authors (@private-ai)
"""

EXAMPLES = r"""
- name: See what the model knows of the handbook
  private_ai.chatbot.model_evaluation:
    url: http://127.0.0.1:8000
    api_key_file: /var/lib/private-ai/api-key
    questions:
      - question: Who may enter the laboratory?
        expect: [badge, [training, trained]]
        language: en
      - question: Quem pode entrar no laboratório?
        expect: crachá
        language: pt
    minimum: 0.5
  register: evaluation

- name: Compare a model on trial with the one that serves
  private_ai.chatbot.model_evaluation:
    container: private-ai-trial
    questions_file: /srv/evaluation/held-out.json
    subject:
      sha256: "{{ model.sha256 }}"
    report: "/var/lib/private-ai/evaluations/{{ model.sha256[:12] }}.json"
    baseline: "/var/lib/private-ai/evaluations/{{ served.sha256[:12] }}.json"
    tolerance: 0.0
"""

RETURN = r"""
evaluation:
  description: The figures; null in check mode when there is no valid report.
  returned: always
  type: dict
  contains:
    asked: {description: Number of questions., type: int}
    right: {description: Number of right answers., type: int}
    score: {description: Share of right answers., type: float}
    similarity: {description: Mean similarity to the expected answers., type: float}
    languages: {description: The same figures by language., type: dict}
  sample: {asked: 30, right: 24, score: 0.8, similarity: 0.81, languages: {en: {asked: 30, right: 24}}}
before:
  description: The figures of O(baseline) in the same form; null when there is nothing to compare with.
  returned: always
  type: dict
  sample: null
table:
  description: The figures as lines for a person.
  returned: always
  type: list
  elements: str
  sample:
    - "language  asked  right  share  similarity      before"
    - "en           30     24   80 %        0.81  10 %, 0.32"
    - "all          30     24   80 %        0.81  10 %, 0.32"
would_ask:
  description: How many questions were asked, or in check mode would be.
  returned: always
  type: int
  sample: 30
passed:
  description: Whether everything that was asked for is reached; null when it is not known.
  returned: always
  type: bool
  sample: true
shortfalls:
  description: What is not reached, in words.
  returned: always
  type: list
  elements: str
  sample: []
report:
  description: The report's file.
  returned: always
  type: str
  sample: /var/lib/private-ai/evaluations/bc34356bed68.json
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.private_ai.chatbot.plugins.module_utils.evaluation import report as reports
from ansible_collections.private_ai.chatbot.plugins.module_utils.evaluation.ask import AskError, ask_all
from ansible_collections.private_ai.chatbot.plugins.module_utils.evaluation.options import (
    figures,
    read_key,
    share_of,
    without_key,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.evaluation.scoring import (
    Question,
    parse_questions,
    read_questions,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.evaluation.transport import ask_in_container
from ansible_collections.private_ai.chatbot.plugins.module_utils.files import write_file
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.common import (
    COMMON_ARGUMENTS,
    make_client,
)
from ansible_collections.private_ai.chatbot.plugins.module_utils.podman.watch import Progress

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    **COMMON_ARGUMENTS,
    "url": {"type": "str", "default": "http://127.0.0.1:8000"},
    "container": {"type": "str"},
    "api_key": {"type": "str", "no_log": True},
    "api_key_file": {"type": "path", "no_log": False},
    "model": {"type": "str"},
    "subject": {"type": "dict"},
    "questions": {"type": "list", "elements": "dict"},
    "questions_file": {"type": "path"},
    "scoring": {"type": "str", "choices": ["exact", "contains", "similarity"], "default": "contains"},
    "similarity_threshold": {"type": "float", "default": 0.6},
    "minimum": {"type": "float", "default": 0.0},
    "minimums": {"type": "dict", "default": {}},
    "baseline": {"type": "path"},
    "tolerance": {"type": "float"},
    "report": {"type": "path"},
    "force": {"type": "bool", "default": False},
    "system": {"type": "str", "default": ""},
    "temperature": {"type": "float", "default": 0.0},
    "top_p": {"type": "float", "default": 0.95},
    # A number of words, no secret.
    "max_tokens": {"type": "int", "default": 512, "no_log": False},
    "seed": {"type": "int", "default": 1},
    "timeout": {"type": "int", "default": 120},
    "wait_timeout": {"type": "int", "default": 60},
    "ca_path": {"type": "path"},
    "use_proxy": {"type": "bool", "default": False},
    "progress_file": {"type": "path"},
}


def ask_questions(
    module: AnsibleModule, questions: t.Sequence[Question], key: str | None
) -> list[dict[str, t.Any]]:
    """Ask them all and return the replies in order; AskError or ValueError otherwise."""
    params = module.params
    # What the server does not get to know stays here: only the settings of the talk go into a container.
    names = (
        "url",
        "model",
        "temperature",
        "top_p",
        "max_tokens",
        "seed",
        "timeout",
        "wait_timeout",
        "use_proxy",
    )
    settings: dict[str, t.Any] = {name: params[name] for name in names}
    settings["key"] = key
    conversations = [question.conversation(params["system"]) for question in questions]
    progress = Progress(params["progress_file"], "evaluation")
    progress.say(f"{len(questions)} questions")
    if params["container"]:
        argv = make_client(module).argv(["exec", "-i", params["container"], "python3"])
        answers = ask_in_container(argv, settings, conversations)
    else:
        settings["ca_path"] = params["ca_path"]
        answers = ask_all(settings, conversations)
    replies = []
    try:
        for number, reply in enumerate(answers, 1):
            replies.append(without_key(reply, key))
            progress.last = f"{number} of {len(questions)} answered"
            progress.beat()
    except AskError as error:
        raise AskError(
            f"question {len(replies) + 1} of {len(questions)}: {without_key(str(error), key)}"
        ) from None
    if len(replies) != len(questions):
        raise AskError(
            f"{len(replies)} of {len(questions)} questions were answered; look at the server's log"
        )
    if progress.problem:
        module.warn(progress.problem)
    progress.say("ready")
    return replies


def run(module: AnsibleModule) -> dict[str, t.Any]:
    """Read, compare, ask where needed, judge, write the report."""
    params = module.params
    threshold = share_of("similarity_threshold", params["similarity_threshold"])
    minimum = share_of("minimum", params["minimum"])
    minimums = {name: share_of(f"minimums[{name!r}]", value) for name, value in params["minimums"].items()}
    tolerance = None if params["tolerance"] is None else share_of("tolerance", params["tolerance"])
    if params["questions_file"]:
        questions = read_questions(params["questions_file"], params["scoring"])
    else:
        questions = parse_questions(params["questions"], params["scoring"])
    if params["report"]:
        problem = reports.folder_problem(params["report"])
        # In check mode a task before this one would have made the directory.
        if problem and not module.check_mode:
            raise ValueError(problem)
    key = read_key(params)
    if key:
        module.no_log_values.add(key)
    digest = reports.asked_digest(questions, params, params["model"], params["subject"])
    earlier = reports.read_report(params["report"])
    valid = (
        earlier is not None
        and earlier["asked"] == digest
        and params["subject"] is not None
        and not params["force"]
    )
    baseline = reports.read_report(params["baseline"])
    before = reports.rejudged(baseline, questions, threshold) if baseline else None
    if tolerance is not None and before is None:
        what = "asked other questions" if baseline else "is not there"
        raise ValueError(
            f"baseline {params['baseline']!r} {what}, so tolerance cannot be judged; evaluate the earlier "
            "model with these questions first"
        )
    result: dict[str, t.Any] = {
        "changed": False,
        "evaluation": None,
        "before": figures(before),
        "table": [],
        "would_ask": 0 if valid else len(questions),
        "passed": None,
        "shortfalls": [],
        "report": params["report"],
    }
    if valid:
        replies = reports.replies_of(t.cast("dict[str, t.Any]", earlier))
    elif module.check_mode:
        stale = earlier is None or earlier["asked"] != digest
        result["changed"] = bool(params["report"]) and stale
        result["diff"] = {"before": figures(earlier) or {}, "after": {"questions to ask": len(questions)}}
        return result
    else:
        replies = ask_questions(module, questions, key)
    report = reports.build(questions, replies, digest, params["subject"], threshold)
    changed = bool(params["report"]) and reports.comparable(earlier) != reports.comparable(report)
    if changed and not module.check_mode:
        write_file(params["report"], reports.serialise(report), 0o600)
    missed = reports.shortfalls(report, minimum, minimums, before, tolerance)
    result.update(
        changed=changed,
        evaluation=figures(report),
        table=reports.table(report, before),
        passed=not missed,
        shortfalls=missed,
        diff={"before": figures(earlier) or {}, "after": figures(report) or {}}
        if changed
        else {"before": {}, "after": {}},
    )
    return result


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        mutually_exclusive=[("questions", "questions_file"), ("api_key", "api_key_file")],
        required_one_of=[("questions", "questions_file")],
        required_by={"tolerance": ["baseline"]},
    )
    try:
        result = run(module)
    except (AskError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    if result["passed"] is False:
        where = f" The answers are in {result['report']}." if result["report"] else ""
        module.fail_json(
            msg=f"The model does not reach what is asked for: {'; '.join(result['shortfalls'])}.{where} "
            "Remedy: look at the wrong answers, train longer or with more wordings, or ask for less",
            **result,
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
