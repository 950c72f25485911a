"""Tells whether a GitHub repository has too many open issues."""

from typing import Any, Dict

from E3_TooManyOpenIssues.github import exceeds


def main(check: Dict[str, Any]) -> bool | Dict[str, str] | None:
    """Compare the number of open issues with the threshold: {"repo", "threshold"}.

    Shape: true, false, null when GitHub cannot say now, {"refused": why} when it will not say later either.
    """
    return exceeds(check["repo"], check["threshold"])
