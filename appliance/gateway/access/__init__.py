"""The door of the gateway: who asks, what they may do, how much of it. Both front ends go through it."""
