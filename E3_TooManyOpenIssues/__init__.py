"""Tells whether a GitHub repository has too many open issues."""

from typing import Any, Dict

from E3_TooManyOpenIssues.github import exceeds


def main(check: Dict[str, Any]) -> bool | None:
    """Compare the number of open issues with the threshold.

    Shape: {"repo", "threshold"} -> true, false, or null when GitHub cannot say now.
    Raises: CheckFailed when it will not say at the next check either.
    """
    return exceeds(check["repo"], check["threshold"])
