package data

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/graftlm/graft/go/chat"
	"github.com/graftlm/graft/go/failure"
)

var knownRoles = []string{"system", "developer", "user", "assistant", "tool", "function", "ipython"}

func parseMessages(_ fields, data []byte) (r Record, err error) {
	if r.Conversation, err = chat.ParseConversation(data); err != nil {
		return r, err
	}
	return r, checkTurns(r.Conversation)
}

// parsePromptMessages reads a prompt and a completion that are lists of
// messages as one conversation.
func parsePromptMessages(f fields) (r Record, err error) {
	var prompt, completion []json.RawMessage
	if err = f.value("prompt", &prompt, "a list of messages, as \"completion\" is"); err != nil {
		return r, err
	}
	if err = f.value("completion", &completion, "a list of messages, as \"prompt\" is"); err != nil {
		return r, err
	}
	if len(prompt) == 0 || len(completion) == 0 {
		return r, failure.Data("\"prompt\" and \"completion\" must have at least one message each")
	}
	whole := map[string]any{"messages": append(slices.Clone(prompt), completion...)}
	for _, key := range []string{"tools", "chat_template_kwargs"} {
		if f.has(key) {
			whole[key] = f[key]
		}
	}
	data, err := json.Marshal(whole)
	if err != nil {
		return r, failure.Data("\"prompt\" or \"completion\": %w", err)
	}
	r, err = parseMessages(nil, data)
	r.PromptTurns = len(prompt)
	return r, err
}

var shareGPTRoles = map[string]string{
	"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "model": "assistant",
	"chatgpt": "assistant", "bing": "assistant", "bard": "assistant",
	"system": "system", "tool": "tool", "observation": "tool",
}

func parseShareGPT(f fields, _ []byte) (r Record, err error) {
	var turns []fields
	if err = f.value("conversations", &turns, "a list of {\"from\", \"value\"}"); err != nil {
		return r, err
	}
	if len(turns) == 0 {
		return r, failure.Data("\"conversations\" is empty")
	}
	system, err := f.text("system", false)
	if err != nil {
		return r, err
	}
	if system != "" {
		r.Conversation.Messages = append(r.Conversation.Messages, chat.Message{Role: "system", Content: system})
	}
	for i, turn := range turns {
		from, err := turn.text("from", true)
		if err != nil {
			return r, failure.Data("conversations[%d]: %w", i, err)
		}
		role, ok := shareGPTRoles[from]
		if !ok {
			return r, failure.Data("conversations[%d].from is %w", i, unknownRole(from))
		}
		value, err := turn.text("value", true)
		if err != nil {
			return r, failure.Data("conversations[%d]: %w", i, err)
		}
		r.Conversation.Messages = append(r.Conversation.Messages, chat.Message{Role: role, Content: value})
	}
	return r, checkTurns(r.Conversation)
}

// unknownRole is the error of a role that nobody knows.
type unknownRole string

func (r unknownRole) Error() string {
	return fmt.Sprintf("%.40q; expected one of %s (in conversations also human and gpt)", string(r), strings.Join(knownRoles, ", "))
}

// checkTurns refuses conversations that cannot train anything, or not what
// their author meant.
func checkTurns(c chat.Conversation) error {
	assistant := false
	for i, m := range c.Messages {
		if !slices.Contains(knownRoles, m.Role) {
			return failure.Data("messages[%d].role is %w", i, unknownRole(m.Role))
		}
		assistant = assistant || m.Role == "assistant"
		said := m.Content != ""
		for _, key := range []string{"content", "tool_calls", "reasoning_content"} {
			v, _ := m.Fields.Get(key)
			said = said || v != nil && v != ""
		}
		if !said && (m.Role == "user" || m.Role == "assistant") {
			return failure.Data("messages[%d] (role %q) is empty", i, m.Role)
		}
	}
	if !assistant {
		return failure.Data("the conversation has no assistant turn, so nothing would be trained")
	}
	return nil
}
