"""Asks the simulated Twilio to send an SMS."""

from tests.simulation.world import current


def main(alert: dict) -> dict:
    return {"message": current().twilio.send(alert["phone"])}
