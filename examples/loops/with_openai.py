"""Our memory in a loop around OpenAI's SDK, with any server that speaks its protocol. pip install openai

MODEL=hippo BASE_URL=http://127.0.0.1:8000/v1 python examples/loops/with_openai.py
"""

from openai import OpenAI
from shared import MODEL, QUESTION, SYSTEM, URL, answer, answers, filled

from agent import tools_for

client = OpenAI(base_url=URL, api_key="none")
with filled() as memory:
    ours = tools_for("openai", memory, ["recall"], [answer])
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
    for _ in range(6):
        reply = client.chat.completions.create(
            model=MODEL, messages=messages, tools=ours.tools, temperature=0, max_tokens=80
        )
        message = reply.choices[0].message
        messages.append(message.model_dump(exclude_none=True))
        if not message.tool_calls:
            break
        results = [ours.call(call) for call in message.tool_calls]
        for call, result in zip(message.tool_calls, results, strict=True):
            print(f"{call.function.name}({call.function.arguments}) -> {result['content']}")
        messages += results
        if answers:
            break
    print("answer:", answers[0] if answers else message.content)
