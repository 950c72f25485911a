"""Stand-ins for GitHub's issue list and Twilio's messages, so that an app runs without accounts.

Both answer over HTTP in the services' own shapes, fail on demand, and keep what they were sent in memory.
    answer      what a stand-in replies; the error of a field that is not as it must be
    github      repositories, issue pages, ETags, rate-limit headers
    twilio      one account, its messages, Twilio's error codes and magic numbers
    server      both behind one port, with the outbox, the settings and the page
    __main__    `python -m sandbox`
Not its business: the app that calls it, and the host that runs that app; it imports neither.
"""
