"""A plugin for vLLM that reads calls as our exported models write them, so that it gives them as native tool calls.

hippo export hippo-135m runs/export/hippo
vllm serve runs/export/hippo --served-model-name hippo --enable-auto-tool-choice \
    --tool-parser-plugin examples/loops/vllm_calls.py --tool-call-parser hippo
"""

from vllm.tool_parsers.abstract_tool_parser import ToolParserManager
from vllm.tool_parsers.xlam_tool_parser import xLAMToolParser


@ToolParserManager.register_module("hippo")
class HippoToolParser(xLAMToolParser):
    """One call as a JSON object; xLAM's models write a list of them."""

    def extract_tool_calls(self, model_output, request):
        """Return the calls in an answer."""
        words = model_output.strip()
        return super().extract_tool_calls(f"[{words}]" if words.startswith("{") else words, request)
