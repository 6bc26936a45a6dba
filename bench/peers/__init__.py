"""What the figures are compared with: other people's stacks on the same rows, and floors."""
