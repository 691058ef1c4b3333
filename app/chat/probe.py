"""What a template can do and how it wants its input, found by trying it on small conversations.

Words that stand nowhere else are put into messages, and looked for in the prompts. A template is
never judged by the name of its model.
"""

from dataclasses import dataclass, field, replace

from app.chat.conventions import Conventions
from app.chat.parsers.answer import Thought
from app.chat.thinking import Effort, Switch, find_effort, find_switch, spot_thought
from app.chat.thought_trial import find_thought_form
from app.chat.tool_text import find_writer
from app.chat.tool_trial import (
    find_call_form,
    find_parallel_form,
    find_schema_form,
    find_tool_text,
)
from app.chat.trial import Render, Trial


@dataclass(frozen=True, slots=True)
class TemplateTraits:
    """What a template can do.

    `tools`, `calls`, `results`: it has a place for tools, earlier calls and what came of them;
    else the conventions say how they are told. `parallel_calls`: several in one message. `thought`:
    the markers of thinking. `problem`: why it cannot render one plain message.
    """

    conventions: Conventions = field(default_factory=Conventions)
    system: bool = False
    tools: bool = False
    calls: bool = False
    results: bool = False
    parallel_calls: bool = False
    thought: Thought | None = None
    switch: Switch | None = None
    effort: Effort | None = None
    problem: str | None = None

    @property
    def takes_tools(self) -> bool:
        """Whether tools get into the prompt in one way or another."""
        return self.tools or self.conventions.tools != "field"

    @property
    def thinking(self) -> bool:
        return self.thought is not None


def probe(render: Render, source: str, reads: frozenset[str]) -> TemplateTraits:
    """Try `render`; `reads` are the variables that the template reads."""
    trial = Trial(render)
    problem = trial.find_plain_form()
    if problem is not None:
        return TemplateTraits(thought=spot_thought(source), problem=problem)
    traits = TemplateTraits(
        system=trial.find_system_form(),
        tools=find_schema_form(trial),
        switch=find_switch(trial.vary, reads),
    )
    if traits.switch is not None:
        trial.variables = {traits.switch.variable: traits.switch.on}
    trial.find_parts_form(traits.system)
    calls, results = find_call_form(trial)
    find_tool_text(
        trial,
        find_writer(source),
        system=traits.system,
        tools=traits.tools,
        calls=calls,
        results=results,
    )
    return replace(
        traits,
        calls=calls,
        results=results,
        parallel_calls=find_parallel_form(trial),
        effort=find_effort(trial.vary, reads),
        thought=find_thought_form(trial, source, has_calls=calls) or spot_thought(source),
        conventions=trial.said,
    )
