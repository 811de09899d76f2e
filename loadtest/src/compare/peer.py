"""Reads and prices the same bodies with genai-prices or LiteLLM, from the text of the JSON to the cost.

usage: peer.py genai-prices|litellm BODIES

BODIES has one JSON object a line: provider, shape, models (that of the response first), text, at. For each line of its
input, a number of repetitions, it goes through all of them once and answers with one line: for each body the nanoseconds
of processor time of one repetition, and the cost or null. What it cannot read is null, and its time counts no more.
"""
import datetime
import gc
import importlib.metadata
import json
import os
import sys
import time

# Neither asks the network for prices: each takes those that it was released with.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["LITELLM_LOG"] = "CRITICAL"

GENAI = {"vertex": "google", "bedrock": "aws", "bedrock-mantle": "aws", "xai": "x-ai", "together": "together", "huggingface": "huggingface_together"}
GENAI_FLAVORS = {"openai.chat": "chat", "openai.responses": "responses", "openai.embeddings": "embeddings",
                 "openai.realtime": "realtime", "cohere.v2.embed": "embeddings", "openai.completions": "chat", "openai.assistants": "chat"}
LITELLM = {"google": "gemini", "vertex": "vertex_ai", "zai": "zai", "together": "together_ai", "alibaba": "dashscope",
           "bedrock-mantle": "bedrock_mantle"}


def genai_prices():
    from genai_prices import calc_price, data_snapshot, extract_usage

    known = {provider.id: provider for provider in data_snapshot.get_snapshot().providers}

    def flavor(provider, body):
        found = {extractor.api_flavor for extractor in (known[provider].extractors or [])} if provider in known else ()
        if "anthropic" in found and (provider == "google" and body["shape"] == "anthropic.messages"
                                     or any("claude" in model for model in body["models"])):
            if body["shape"] != "bedrock.converse":
                return "anthropic"
        wanted = GENAI_FLAVORS.get(body["shape"], "default")
        return next((name for name in (wanted, "default") if name in found), None)

    def prepare(body):
        provider = GENAI.get(body["provider"], body["provider"])
        # Which reader it takes is what a caller knows beforehand.
        reader, chosen = provider, flavor(provider, body)
        # A provider without a reader for a shape of OpenAI's is read as OpenAI.
        lacks = chosen == "default" and (body["shape"] == "openai.responses" or provider == "aws" and "openai." in body["shape"])
        if chosen is None or lacks:
            reader, chosen = "openai", GENAI_FLAVORS.get(body["shape"], "chat")
        at = datetime.datetime.fromisoformat(body["at"])
        text, models = body["text"], body["models"]

        def price():
            response = json.loads(text)
            tier = response.get("service_tier")
            context = {"service_tier": tier} if tier else None
            usage = None
            if reader == provider:
                extracted = extract_usage(response, provider_id=provider, api_flavor=chosen)
                usage = extracted.usage
            if usage is not None and extracted.model is not None:
                calculated = extracted.calc_price(genai_request_timestamp=at, price_context=context)
            else:
                usage = usage or known[reader].extract_usage(response, api_flavor=chosen)[1]
                calculated = calc_price(usage, models[-1], provider_id=provider, genai_request_timestamp=at,
                                        price_context=context)
            # Without fees of searches, as the expected costs are.
            return calculated.input_price + calculated.output_price
        return price
    return prepare


def litellm():
    import litellm
    from litellm.cost_calculator import RealtimeAPITokenUsageProcessor, handle_realtime_stream_cost_calculation
    from litellm.llms.bedrock.chat.converse_transformation import AmazonConverseConfig
    from litellm.llms.cohere.embed.transformation import CohereEmbeddingConfig
    from litellm.llms.vertex_ai.gemini.vertex_and_google_ai_studio_gemini import VertexGeminiConfig

    litellm.suppress_debug_info = True
    converse, cohere = AmazonConverseConfig(), CohereEmbeddingConfig()

    def prepare(body):
        provider = LITELLM.get(body["provider"], body["provider"])
        text, shape, models = body["text"], body["shape"], body["models"]
        # Bedrock's prices go by the name that was asked for.
        model = (models[-1] if provider == "bedrock" else models[0]) if models else None
        if shape == "bedrock.invoke" and model and "nova" in model:
            shape = "bedrock.converse"

        def price():
            response = json.loads(text)
            # A response in OpenAI's or Anthropic's form is taken as it is. Of others, what LiteLLM's own transformation
            # of such a response does with the usage.
            if shape == "google.generateContent":
                response = {"model": model, "usage": VertexGeminiConfig._calculate_usage(completion_response=response)}
            elif shape == "bedrock.converse":
                response = {"model": model, "usage": converse.transform_usage(response["usage"])}
            elif shape == "cohere.v2.embed":
                response = {"model": model, "usage": cohere._calculate_usage([], None, response["meta"])}
            elif shape == "openai.realtime":
                usage = RealtimeAPITokenUsageProcessor.collect_and_combine_usage_from_realtime_stream_results([response])
                return handle_realtime_stream_cost_calculation([response], usage, provider, model) or None
            cost = litellm.completion_cost(completion_response=response, model=model, custom_llm_provider=provider)
            usage = response.get("usage")
            counted = usage is not None and any(isinstance(n, int) and n for n in dict(usage).values())
            # Zero without an error is what it says of a model that it has no price for.
            return None if cost == 0 and (counted or usage is None) else cost
        return price
    return prepare


def main():
    name, path = sys.argv[1:]
    prepare = {"genai-prices": genai_prices, "litellm": litellm}[name]()
    with open(path) as file:
        prices = [prepare(json.loads(line)) for line in file]
    out = os.fdopen(os.dup(1), "w")
    # What a library prints is not for the reader of the answers.
    os.dup2(2, 1)
    print(json.dumps({"version": importlib.metadata.version(name), "python": sys.version.split()[0]}), file=out, flush=True)
    for line in sys.stdin:
        repetitions, answers = int(line), []
        gc.collect()
        for price in prices:
            try:
                cost = price()
                began = time.thread_time_ns()
                for _ in range(repetitions):
                    price()
                took = (time.thread_time_ns() - began) // repetitions
                answers.append([took, None if cost is None else str(cost)])
            except Exception:
                answers.append([0, None])
        print(json.dumps(answers), file=out, flush=True)


if __name__ == "__main__":
    main()
