"""Texts a phone that a GitHub repository has too many open issues.

The sample's activity of this name is handed the phone number alone and uses the Twilio output binding; this one
calls Twilio itself, so that it can tell a message that was not sent from one that may have been.
"""

from typing import Any, Dict

from E3_SendAlert.sms import send


def main(alert: Dict[str, Any]) -> Dict[str, Any]:
    """Send the alert.

    Shape: {"phone", "repo", "threshold"} -> {"message": "SM..."}, or {"message": null} when Twilio may have
    taken it but nobody can tell.
    Raises: AlertNotSent when it was certainly not sent.
    """
    repo, threshold = alert["repo"], alert["threshold"]
    text = f"{repo} has more than {threshold} open issues: https://github.com/{repo}/issues"
    return {"message": send(alert["phone"], text)}
