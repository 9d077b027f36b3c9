"""Real 802.11 in a small virtual machine: docs/radio.md.

`kernel` gets Debian's kernel, `machine` boots it on this machine's own files, `medium` is the air between its
radios, `guest` what experiments inside it share. `experiments` are run there; the tests beside read what they
found.
"""
