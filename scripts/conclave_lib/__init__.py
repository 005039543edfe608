# SPDX-License-Identifier: Apache-2.0
"""What scripts/conclave is made of, one concern a module:

layout     where everything of a group lies and which ports it has      certs    the private authorities and certificates
render     configuration files from the layout                          users    the digest table of the edge
admin      speaking to the running parts over their sockets             check    validation before a start
supervise  starting, watching and ending the processes                  cli      commands and their help pages
terminal   words taken, text shown, errors told
"""


class Problem(Exception):
    """What went wrong and what to do about it, for the person at the terminal."""
