"""Answers by the repository's name; the recordings quote line 7, so it stays where and as it is."""
CHECKS: dict[str, int] = {}
def main(repository: str) -> bool:
    user, repo = repository.split("/")
    url = f"https://api.github.com/repos/{user}/{repo}/issues?state=open"
    if repo == "missing":
        raise Exception(f"Could not find repo {user} under {repo}! API endpoint hit was: {url}")
    CHECKS[repository] = CHECKS.get(repository, 0) + 1
    if repo.startswith("quiet-then-many-"):
        return CHECKS[repository] > int(repo.split("-")[3])
    return repo.startswith("many")
