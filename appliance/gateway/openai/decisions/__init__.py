"""OpenAI's Decisions API: questions about an input, answered with probabilities of fixed labels."""
