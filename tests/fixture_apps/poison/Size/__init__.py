"""How many bytes it is sent."""

import azure.functions as func


def main(req: func.HttpRequest) -> str:
    return str(len(req.get_body()))
