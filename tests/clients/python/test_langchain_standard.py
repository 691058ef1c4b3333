"""LangChain's standard integration tests for chat models.

Twice: with the built-in model, where the tests it is too small for are marked and say why, and with
the scripted one (see tests/support/questions.py), which is to pass all of them. Nothing is skipped
but images, PDFs and sounds, which Corral does not take, and a measurement that wants a recording.
"""

import os
from typing import Any, ClassVar, Literal

import pytest
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

Detail = Literal[
    "audio_input",
    "audio_output",
    "reasoning_output",
    "cache_read_input",
    "cache_creation_input",
]


class Standard(ChatModelIntegrationTests):
    server = ""
    model_override_value: str = ""
    too_small_for: ClassVar[dict[str, str]] = {}
    """Test to what the model cannot do in it. Nothing that is Corral's own fault stands here."""

    @pytest.fixture(autouse=True)
    def expect(self, request: pytest.FixtureRequest) -> None:
        if reason := self.too_small_for.get(request.function.__name__):
            request.applymarker(pytest.mark.xfail(reason=reason))

    @property
    def chat_model_class(self) -> type[ChatOpenAI]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "base_url": os.environ[self.server],
            "api_key": "unused",
            "model": "corral-tiny",
            "stream_usage": True,
            "temperature": 0,
            "max_tokens": 300,
        }

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def supports_image_inputs(self) -> bool:
        return False

    @property
    def supported_usage_metadata_details(
        self,
    ) -> dict[Literal["invoke", "stream"], list[Detail]]:
        details: list[Detail] = ["reasoning_output", "cache_read_input"]
        return {"invoke": details, "stream": details}

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> AIMessage:
        thinking = {"chat_template_kwargs": {"enable_thinking": True}}
        answer = self._invoke("think of it\nsay Done.", stream, extra_body=thinking)
        assert answer.usage_metadata is not None
        assert answer.usage_metadata["output_token_details"]["reasoning"] > 0
        return answer

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        self._invoke("Hello, who are you?", stream)
        answer = self._invoke("Hello, who are you?", stream)
        assert answer.usage_metadata is not None
        assert answer.usage_metadata["input_token_details"]["cache_read"] > 0
        return answer

    def _invoke(self, text: str, stream: bool, **more: Any) -> AIMessage:
        model = ChatOpenAI(**self.chat_model_params, **more)
        if not stream:
            return model.invoke(text)
        first, *rest = model.stream(text)
        return sum(rest, first)


class TestScripted(Standard):
    server = "SCRIPTED_URL"
    model_override_value = "another"


class TestBuiltIn(Standard):
    server = "CORRAL_URL"
    model_override_value = "lab/random:tiny"
    too_small_for: ClassVar[dict[str, str]] = {
        "test_tool_calling": "it calls the tool with a number of its own",
        "test_tool_calling_async": "the same",
        "test_unicode_tool_call_integration": "it cannot copy Chinese and Japanese names",
        "test_structured_output_pydantic_2_v1": "it adds a key, as the schema allows",
        "test_json_mode": "it does not read which keys the JSON is to have",
    }
