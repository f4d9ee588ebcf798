"""llama-index against a server whose address is the argument: answers, and a search in documents."""

import sys

from llama_index.core import Document, VectorStoreIndex, set_global_tokenizer
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike

set_global_tokenizer(str.split)  # the default one is downloaded
llm = OpenAILike(api_base=sys.argv[1], api_key="none", model="hearth", is_chat_model=True,
                 context_window=1024, max_tokens=24, temperature=0, max_retries=0)
assert llm.complete("What can you do?").text
assert llm.chat([ChatMessage(role="user", content="Hello")]).message.content
whole = [c.delta or "" for c in llm.stream_chat([ChatMessage(role="user", content="Hello")])]
assert "".join(whole)

TEXTS = ["The timer in the kitchen rings at noon.", "The lamp in the hall is broken.",
         "Milk and bread are on the shopping list."]
embedding = OpenAILikeEmbedding(model_name="hearth", api_base=sys.argv[1], api_key="none",
                                max_retries=0)
index = VectorStoreIndex.from_documents([Document(text=t) for t in TEXTS], embed_model=embedding)
for text in TEXTS:
    assert index.as_retriever(similarity_top_k=1).retrieve(text)[0].text == text
engine = index.as_query_engine(llm=llm, similarity_top_k=1)
assert str(engine.query("What is on the shopping list?"))
