"""Sends its SMS through the twilioSms output binding."""

import json

import azure.functions as func


def main(phoneNumber: str, message: func.Out[str]) -> str:  # noqa: N803
    message.set(json.dumps({"body": "Hey! There are too many open issues.", "to": phoneNumber}))
    return "Message sent!"
