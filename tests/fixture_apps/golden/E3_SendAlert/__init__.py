"""Sends nothing, and refuses one number; the recordings quote line 5, so it stays where and as it is."""

def main(phone: str) -> str:
    if phone == "+10000000000":
        raise RuntimeError("SMS gateway refused +10000000000")
    return "Message sent!"
