"""Texts a phone that a GitHub repository has too many open issues.

The sample uses the Twilio output binding, which cannot tell a message that was not sent from one that may be.
"""

from typing import Any, Dict

from E3_SendAlert.sms import is_allowed, mask, missing_setting, send


def main(alert: Dict[str, Any]) -> Dict[str, Any]:
    """Send the alert {"phone", "repo", "threshold"}.

    Shape: {"message": "SM..."} when Twilio took it, {"message": null} when it may have, {"refused": why} when it
    will not, {"unsent": why} when it certainly has not and another attempt may help.
    """
    phone, repo, threshold = alert["phone"], alert["repo"], alert["threshold"]
    if name := missing_setting():
        return {"unsent": f"the app setting {name} is missing"}
    if not is_allowed(phone):
        return {"refused": f"{mask(phone)} is not among the app setting AllowedPhoneNumbers"}
    text = f"{repo} has more than {threshold} open issues: https://github.com/{repo}/issues"
    return send(phone, text)
