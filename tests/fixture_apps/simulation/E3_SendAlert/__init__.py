"""Asks the simulated Twilio to send an SMS."""

from tests.simulation.world import current


def main(alert: dict) -> dict:
    return current().twilio.send(alert["phone"])
