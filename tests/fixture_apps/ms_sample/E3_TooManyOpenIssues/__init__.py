"""A check without a network: by the repository's name. Like the sample's, its return annotation is wrong."""


def main(repoID: str) -> str:  # noqa: N803
    return repoID.endswith("/many")
