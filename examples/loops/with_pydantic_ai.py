"""Our memory as tools of a Pydantic AI agent. pip install "pydantic-ai-slim[openai]"

MODEL=hippo BASE_URL=http://127.0.0.1:8000/v1 python examples/loops/with_pydantic_ai.py
"""

from pydantic_ai import Agent, UnexpectedModelBehavior, UsageLimitExceeded, UsageLimits
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from shared import MODEL, QUESTION, SYSTEM, URL, answer, answers, filled

from agent import tools_for

SETTINGS = {"temperature": 0, "max_tokens": 80}
with filled() as memory:
    ours = tools_for("pydantic_ai", memory, ["recall"], [answer])
    model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=URL, api_key="none"))
    agent = Agent(model, system_prompt=SYSTEM, tools=ours, model_settings=SETTINGS)
    try:
        said = agent.run_sync(QUESTION, usage_limits=UsageLimits(request_limit=3)).output
    except (UsageLimitExceeded, UnexpectedModelBehavior) as error:  # a model that answers with a call does not end
        said = str(error)
    print("answer:", answers[0] if answers else said)
