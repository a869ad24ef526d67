"""Kubeconfig files and what is thought of them.

Belongs here: judging a kubeconfig before anything loads it, the watched directory, a credential's posture.
Doesn't: connecting to a cluster (`cluster.client`). Plain dicts in, frozen values out; no Kubernetes library.
"""
