"""What schemathesis sends to a host, and what came of it: what docs/openapi.yaml allows and what it does not."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import schemathesis
import yaml
from schemathesis.engine import Status, events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.engine.run import PhaseName

from tests.conftest import ROOT

DOCUMENT = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
PHASES = (PhaseName.EXAMPLES, PhaseName.COVERAGE, PhaseName.FUZZING, PhaseName.STATEFUL_TESTING)
SUCCESS = Status.SUCCESS
# The durable API takes much that the document does not describe, and has 500s of its own; both are recorded.
NOT_OF_THE_RECORDED_API = (
    "not_a_server_error",
    "positive_data_acceptance",
    "negative_data_rejection",
    "unsupported_method",
)
CONFIG = {
    "checks": {name: {"enabled": False} for name in NOT_OF_THE_RECORDED_API},
    "operations": [
        {
            "include-tag": "monitors",
            "checks": {
                "not_a_server_error": {"enabled": True},
                "positive_data_acceptance": {"enabled": True, "expected-statuses": [202, 409]},
                "negative_data_rejection": {"enabled": True, "expected-statuses": [400, 404]},
            },
        }
    ],
}


@dataclass
class Fuzzed:
    """What came of it; `seen` are the answers of each operation."""

    phases: dict[PhaseName, Status] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    seen: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    cases: int = 0

    def take(self, recorder: ScenarioRecorder) -> None:
        for key, interaction in recorder.interactions.items():
            operation, answer = recorder.cases[key].value.operation, interaction.response
            name = f"{interaction.request.method} {interaction.request.uri}"
            self.cases += 1
            if answer is None:
                self.problems.append(f"{name}: no answer")
            elif interaction.request.method != operation.method.upper():
                if answer.status_code not in (404, 405):
                    self.problems.append(f"{name}: {answer.status_code} for a method that is not there")
            else:
                self.seen[operation.definition.raw["operationId"]].add(answer.status_code)
                described = operation.responses.find_by_status_code(answer.status_code)
                if described is not None and "content" not in described.definition and answer.content:
                    self.problems.append(f"{name}: {answer.status_code} with {answer.content[:100]!r}")
        self.problems += _failed_checks(recorder)


def _failed_checks(recorder: ScenarioRecorder) -> Iterator[str]:
    for checks in recorder.checks.values():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                yield f"{check.name}: {failure.title} {failure.message} {check.failure_info.code_sample}"


def fuzz(url: str, examples: int) -> Fuzzed:
    """Let schemathesis run all its phases, and the last one often; it is a program of blocking calls."""
    fuzzed = Fuzzed()
    run(url, 0, PHASES, examples, fuzzed)
    # A chain of requests that takes another turn when it is sent again, as instances end, ends a run of chains.
    for seed in range(1, 1 + examples // 10):
        run(url, seed, PHASES[-1:], examples, fuzzed)
    return fuzzed


def run(url: str, seed: int, phases: Sequence[PhaseName], examples: int, fuzzed: Fuzzed) -> None:
    chosen: dict[str, Any] = {phase.value: {"enabled": phase in phases} for phase in PHASES}
    # The document's own links are enough.
    chosen["stateful"] |= {"max-steps": 10, "inference": {"algorithms": []}}
    generation = {"max-examples": examples, "no-shrink": True}
    config = schemathesis.Config.from_dict(
        {"base-url": url, "seed": seed, "phases": chosen, "generation": generation, **CONFIG}
    )
    schema = schemathesis.openapi.from_dict(DOCUMENT, config=config)
    schema.hook(map_body)
    for event in from_schema(schema).execute():
        match event:
            case events.PhaseFinished() if event.phase.name in PHASES:
                fuzzed.phases.setdefault(event.phase.name, event.status)
            case events.ScenarioFinished():
                fuzzed.take(event.recorder)
            case events.NonFatalError():
                fuzzed.problems.append(f"{event.label}: {event.value}")
            case events.FatalError():
                fuzzed.problems.append(f"{event.exception}")


def map_body(_: schemathesis.HookContext, body: Any) -> Any:
    """A number that JSON Schema calls an integer, written as one: HttpStart takes no 60.0."""
    if not isinstance(body, dict):
        return body
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in body.items()
    }


def assert_it_came_everywhere(fuzzed: Fuzzed) -> None:
    """Each operation but one refused to do its work, and each did it but those that need an instance in a certain
    state, to which not every run comes.
    """
    operations = {
        each["operationId"] for path in DOCUMENT["paths"].values() for each in path.values() if "tags" in each
    }
    worked = {name for name, statuses in fuzzed.seen.items() if statuses & {200, 202}}
    refused = {name for name, statuses in fuzzed.seen.items() if max(statuses) >= 400}
    assert operations - refused <= {"entities"}
    assert operations - worked <= {"suspend", "resume", "rewind", "restart", "restartWithOptions", "purge"}
