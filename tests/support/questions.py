"""Questions of test suites that are not ours, and the script that answers each."""

import json

_JOKE = json.dumps({"setup": "Why do cats sit on keyboards?", "punchline": "To watch the mouse."})

SCRIPTS = {
    "What is the value of magic_function(3)?": 'call magic_function {"input": 3}',
    "What is the value of magic_function_no_args()?": "call magic_function_no_args",
    "generate a Pirate greeting": 'call greeting_generator {"answer_style": "Pirate"}',
    "What is 3 + 4": 'call my_adder_tool {"a": 3, "b": 4}',
    "What is the weather in San Francisco": 'call get_weather {"location": "San Francisco, CA"}',
    "你好啊集团": 'call unicode_customer {"customer_name": "你好啊集团", "description": "new"}',
    "こんにちは": 'call unicode_customer {"customer_name": "こんにちは", "description": "new"}',
    "oke about cats": f"say {_JOKE}",
}


def find_script(question: str) -> str:
    """The script of a known question, or the message itself."""
    return next((script for known, script in SCRIPTS.items() if known in question), question)
