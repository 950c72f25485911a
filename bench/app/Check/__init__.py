"""Says at once that a repository has not too many open issues: what is measured is the host."""


def main(repo: str) -> bool:
    """Check one repository."""
    return False
