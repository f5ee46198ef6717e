"""Our memory in a loop around Anthropic's SDK, with any server that speaks its protocol. pip install anthropic

MODEL=hippo BASE_URL=http://127.0.0.1:8000/v1 python examples/loops/with_anthropic.py
"""

from anthropic import Anthropic
from shared import MODEL, QUESTION, SYSTEM, URL, answer, answers, filled

from agent import tools_for

client = Anthropic(base_url=URL.removesuffix("/v1"), api_key="none")
with filled() as memory:
    ours = tools_for("anthropic", memory, ["recall"], [answer])
    messages = [{"role": "user", "content": QUESTION}]
    for _ in range(6):
        reply = client.messages.create(
            model=MODEL,
            max_tokens=80,
            system=SYSTEM,
            messages=messages,
            tools=ours.tools,
            extra_body={"temperature": 0},
        )
        messages.append({"role": "assistant", "content": [block.model_dump() for block in reply.content]})
        calls = [block for block in reply.content if block.type == "tool_use"]
        if not calls:
            break
        results = [ours.call(call) for call in calls]
        for call, result in zip(calls, results, strict=True):
            print(f"{call.name}({call.input}) -> {result['content']}")
        messages.append({"role": "user", "content": results})
        if answers:
            break
    print("answer:", answers[0] if answers else reply.content)
