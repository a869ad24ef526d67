"""`python -m hub`."""

import gc

# What imports make stays: looking through it again and again takes 0.3 s of the start. `hub.server.Server`
# turns this on again; other commands are over before it matters.
gc.disable()

from hub.cli import app  # noqa: E402

app(prog_name="python -m hub")
