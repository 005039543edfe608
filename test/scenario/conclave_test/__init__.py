# SPDX-License-Identifier: Apache-2.0
"""Peers for the scenario tests: scripted SIP clients, media, C3P, baresip, and the stack under test.

stack     starts `conclave run` on free ports in a directory of its own, kills and restarts its parts
sipmsg    SIP messages and digest       sip    a scripted user agent
rtp       tones in and out, SRTP        c3p    requests, answers, the roster document
baresip   an independent SIP client     certs  certificates that should or should not be believed
"""
