"""The clients: what they are, and which environment each lives in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Client:
    """One client with one API: a row of the matrix.

    Attributes:
        title: its name for people.
        package: its name in its registry, and what its version is read from.
        api: which API of the box it uses.
        lock: the lock of its environment in `requirements`, without its ending; of Node.js itself for NODE.
        file: the file with its calls, without its ending.
    """

    title: str
    package: str
    api: str
    lock: str
    file: str

    @property
    def is_node(self) -> bool:
        """Whether it runs in Node.js."""
        return self.lock == NODE


NODE = "clients-node"
_SDKS, _OLDER, _KERNEL = "clients-sdks", "clients-older-sdks", "clients-kernel"

CLIENTS = (
    Client("OpenAI for Python", "openai", "chat", _SDKS, "openai_chat"),
    Client("OpenAI for Python", "openai", "responses", _SDKS, "openai_responses"),
    Client("OpenAI for Python", "openai", "embeddings", _SDKS, "openai_embeddings"),
    Client("Anthropic for Python", "anthropic", "messages", _SDKS, "anthropic_messages"),
    Client("OpenAI Agents for Python", "openai-agents", "chat", _SDKS, "openai_agents_chat"),
    Client("OpenAI Agents for Python", "openai-agents", "responses", _SDKS, "openai_agents_responses"),
    Client("LangChain", "langchain-openai", "chat", _SDKS, "langchain_openai_chat"),
    Client("LangChain", "langchain-openai", "responses", _SDKS, "langchain_openai_responses"),
    Client("LangChain", "langchain-openai", "embeddings", _SDKS, "langchain_openai_embeddings"),
    Client("LangChain", "langchain-anthropic", "messages", _SDKS, "langchain_anthropic_messages"),
    Client("LangChain", "langchain-ollama", "Ollama", _SDKS, "langchain_ollama_chat"),
    Client("Ollama for Python", "ollama", "Ollama", _SDKS, "ollama_chat"),
    Client("Pydantic AI", "pydantic-ai-slim", "chat", _SDKS, "pydantic_ai_chat"),
    Client("Pydantic AI", "pydantic-ai-slim", "responses", _SDKS, "pydantic_ai_responses"),
    Client("Pydantic AI", "pydantic-ai-slim", "messages", _SDKS, "pydantic_ai_messages"),
    Client("LiteLLM", "litellm", "chat", _SDKS, "litellm_chat"),
    Client("LiteLLM", "litellm", "messages", _SDKS, "litellm_messages"),
    Client("llm", "llm", "chat", _SDKS, "llm_chat"),
    Client("Instructor", "instructor", "chat", _OLDER, "instructor_chat"),
    Client("Instructor", "instructor", "messages", _OLDER, "instructor_messages"),
    Client("LlamaIndex", "llama-index-llms-openai-like", "chat", _OLDER, "llama_index_chat"),
    Client("LlamaIndex", "llama-index-embeddings-openai-like", "embeddings", _OLDER, "llama_index_embeddings"),
    Client("Semantic Kernel", "semantic-kernel", "chat", _KERNEL, "semantic_kernel_chat"),
    Client("Triton client", "tritonclient", "KServe (gRPC)", _KERNEL, "tritonclient_grpc"),
    Client("Triton client", "tritonclient", "KServe (HTTP)", _KERNEL, "tritonclient_http"),
    Client("gRPC reflection", "grpcio-reflection", "gRPC", _KERNEL, "grpc_reflection_v1"),
    Client("AIPerf", "aiperf", "all", "clients-aiperf", "aiperf_profile"),
    Client("Aider", "aider-chat", "chat", "clients-aider", "aider_chat"),
    Client("OpenAI for Node.js", "openai", "chat", NODE, "openai_chat"),
    Client("OpenAI for Node.js", "openai", "responses", NODE, "openai_responses"),
    Client("Anthropic for Node.js", "@anthropic-ai/sdk", "messages", NODE, "anthropic_messages"),
    Client("Ollama for Node.js", "ollama", "Ollama", NODE, "ollama_chat"),
    Client("OpenAI Agents for Node.js", "@openai/agents", "chat", NODE, "openai_agents_chat"),
    Client("OpenAI Agents for Node.js", "@openai/agents", "responses", NODE, "openai_agents_responses"),
    Client("Vercel AI SDK", "@ai-sdk/openai-compatible", "chat", NODE, "vercel_compatible_chat"),
    Client("Vercel AI SDK", "@ai-sdk/openai", "chat", NODE, "vercel_openai_chat"),
    Client("Vercel AI SDK", "@ai-sdk/openai", "responses", NODE, "vercel_openai_responses"),
    Client("Vercel AI SDK", "@ai-sdk/anthropic", "messages", NODE, "vercel_anthropic_messages"),
    Client("Codex CLI", "@openai/codex", "responses", NODE, "codex_responses"),
    Client("opencode", "opencode-linux-x64", "chat", NODE, "opencode_chat"),
)
