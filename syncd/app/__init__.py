"""Where everything is constructed, and nowhere else.

`serve(config)` is the daemon, until a signal; `offline(state)` is the same application on a private socket while no daemon
runs. `real` holds the real clock and randomness, `parts` makes the rooms, `daemon` starts and drains them.
"""

from __future__ import annotations

from syncd.app.daemon import serve
from syncd.app.offline import offline
from syncd.app.real import state_directory

__all__ = ["offline", "serve", "state_directory"]
