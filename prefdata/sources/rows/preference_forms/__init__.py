"""Preference datasets: a row of any form becomes a prompt, a chosen and a rejected response.

These are the forms that trainers accept, told apart by their columns and the columns' values:

| form | columns |
|---|---|
| explicit prompt | prompt (text or messages), chosen, rejected (text, a message, or messages) |
| whole conversations | chosen, rejected: messages that share the prompt (`prompt` may repeat it) |
| HH transcripts | chosen, rejected (and prompt): texts of `\\n\\nHuman:`, `\\n\\nAssistant:` |
| messages beside | messages or conversations, and chosen, rejected: one message each |
| instruction | instruction, input?, system?, history?, chosen, rejected: texts |
| OpenAI | input{messages}, preferred_output, non_preferred_output |
| Gemini | system_instruction?, contents, completions[{score, completion}] |
| NeMo-RL | context, completions[{rank, completion}] |
| ms-swift | messages (with the chosen response), rejected_response or rejected_messages |
| AlpacaFarm | instruction, input, output_1, output_2, preference (1 or 2) |

`tools` may stand beside all but the transcripts; messages may call them (messages.py).
"""
