-- luajit test_slm.lua: needs SLM_LIBRARY, the model beside the examples, and SLM_SHARED_DIR.
local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = here .. "/?.lua;" .. package.path
local slm = require "slm"

local function exists(path)
    local f = io.open(path)
    if f then f:close() end
    return f ~= nil
end

assert(slm.version():match("^%d+%.%d+%.%d+$"))
local ok, message = pcall(slm.open, "no-such-file.gguf")
assert(not ok and tostring(message):match("no%-such%-file%.gguf"), tostring(message))
assert(message.name == "IO" and message.status == 3 and message.offset == nil)
ok, message = pcall(slm.open, arg[0])
assert(not ok and message.name == "FORMAT" and message.offset == 0, tostring(message))

local hearth = here .. "/../../models/hearth.gguf"
local model = slm.open(hearth)
assert(#model:tokenize("Hello there") > 0)
assert(math.abs(model:sampling().temperature - 0.2) < 1e-6 and model:sampling().top_k == 40)
local session = model:session{n_ctx = 256, n_threads = 1}
local function ask(text)
    local answer = {}
    for piece in session:ask(text, {temperature = 0, max_tokens = 60}) do answer[#answer + 1] = piece end
    return table.concat(answer)
end
local first = ask("Set a timer for ten minutes.")
assert(first:lower():match("ten") or first:match("10"), first)
assert(#ask("Thank you") > 0 and #session.messages == 4)
for _ in session:ask("Tell me a joke.", {max_tokens = 40}) do break end -- left in the middle
session.messages = {}
collectgarbage() collectgarbage()
assert(ask("Set a timer for ten minutes.") == first) -- the same again
assert(session.end_reason == "end")
session:close()

-- Guides, stop texts, snapshots, embeddings, taking back.
session = model:session{n_ctx = 256, n_threads = 1}
local guide = model:schema_guide('{"enum": ["attic", "cellar"]}')
local function said(options)
    session.messages = {}
    local answer = {}
    for piece in session:ask("Set a timer for ten minutes.", options) do answer[#answer + 1] = piece end
    return table.concat(answer)
end
local room = said{guide = guide, temperature = 0}
assert((room == '"attic"' or room == '"cellar"') and session.end_reason == "guide", room)
guide:close()
assert(first:sub(1, #said{temperature = 0, stop = {"timer"}}) == first:match("^(.-)timer"))
assert(session.end_reason == "stop")
ok, message = pcall(model.grammar, model, "root ::= missing")
assert(not ok and message.name == "GRAMMAR", tostring(message))
local path, held = os.tmpname(), session:tokens()
session:save(path)
session:truncate(3)
assert(#session:tokens() == 3)
session:load(path)
assert(#session:tokens() == #held)
os.remove(path)
session:cancel()
ok, message = pcall(session.prompt, session, {5, 6})
assert(not ok and message.name == "CANCEL", tostring(message))
local vector, length = session:embed("turn on the lamp"), 0
for _, x in ipairs(vector) do length = length + x * x end
assert(#vector > 64 and math.abs(length - 1) < 1e-4, length)
assert(session:embed("turn on the lamp", slm.LAST)[1] ~= vector[1])
session:close()

model:close()

-- Reference data, where there is any: its absence is no success (77: skipped), and a failure where
-- CI is "true".
local shared = os.getenv("SLM_SHARED_DIR")
local stories = (shared or "?") .. "/models/stories260K.gguf"
if not exists(stories) then
    io.stderr:write("SKIPPED: no reference data at " .. stories .. "\n")
    os.exit(os.getenv("CI") == "true" and 1 or 77)
end
local m = slm.open(stories)
local s = m:session{}
s:prompt(m:tokenize("Once upon a time"))
local text = {}
for piece in s:generate{temperature = 0, max_tokens = 12} do text[#text + 1] = piece end
assert(table.concat(text):match("^, there was a little girl"), table.concat(text))
s:close()
m:close()
print("lua: passed")
