"""dualbound: exact questions about trained networks."""
