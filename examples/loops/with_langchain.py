"""Our memory as tools of LangChain's chat models. pip install langchain-openai

MODEL=hippo BASE_URL=http://127.0.0.1:8000/v1 python examples/loops/with_langchain.py
"""

from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI
from shared import MODEL, QUESTION, SYSTEM, URL, answer, answers, filled

from agent import tools_for

with filled() as memory:
    ours = {one.name: one for one in tools_for("langchain", memory, ["recall"], [answer])}
    chat = ChatOpenAI(model=MODEL, base_url=URL, api_key="none", temperature=0, max_tokens=80)
    model = chat.bind_tools([*ours.values()])
    messages = [SystemMessage(SYSTEM), HumanMessage(QUESTION)]
    for _ in range(6):
        reply = model.invoke(messages)
        messages.append(reply)
        if not reply.tool_calls:
            break
        for call in reply.tool_calls:
            result = ours[call["name"]].invoke(call["args"])
            print(f"{call['name']}({call['args']}) -> {result}")
            messages.append(ToolMessage(result, tool_call_id=call["id"]))
        if answers:
            break
    print("answer:", answers[0] if answers else reply.content)
