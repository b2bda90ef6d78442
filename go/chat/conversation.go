package chat

import (
	"github.com/graftlm/graft/go/chat/jinja"
	"github.com/graftlm/graft/go/failure"
)

// Message is one turn of a conversation.
type Message struct {
	Role    string
	Content string // text; empty where the record has parts, null or nothing
	// Fields are all members of the record in their order (tool_calls, name,
	// content parts, ...), nil for a message made in Go. A template sees them
	// with Role, and Content unless that is empty, put over them.
	Fields *jinja.Dict
}

// Conversation is what a template renders. Kwargs become variables of the
// template (enable_thinking, documents, ...); Tools and Kwargs hold values as
// jinja.FromGo takes them.
type Conversation struct {
	Messages []Message
	Tools    []any
	Kwargs   map[string]any
}

// ParseConversation reads {"messages": [...], "tools": [...],
// "chat_template_kwargs": {...}}, the last two optional. Order of keys is kept;
// other members are ignored. Errors are failure.Data.
func ParseConversation(data []byte) (Conversation, error) {
	record, err := decodeObject(data, "a conversation must be a JSON object with \"messages\"")
	if err != nil {
		return Conversation{}, err
	}
	var c Conversation
	list, _ := record.Get("messages")
	items, ok := jinja.Items(list)
	if !ok || len(items) == 0 {
		return c, failure.Data("\"messages\" must be a list with at least one message")
	}
	for i, item := range items {
		m, err := parseMessage(i, item)
		if err != nil {
			return c, err
		}
		c.Messages = append(c.Messages, m)
	}
	return c, c.extras(record, "chat_template_kwargs")
}

func parseMessage(i int, v any) (Message, error) {
	fields, ok := v.(*jinja.Dict)
	if !ok {
		return Message{}, failure.Data("messages[%d] must be an object with \"role\" and \"content\"", i)
	}
	m := Message{Fields: fields}
	role, _ := fields.Get("role")
	if m.Role, ok = role.(string); !ok || m.Role == "" {
		return m, failure.Data("messages[%d] must have a \"role\", such as \"user\" or \"assistant\"", i)
	}
	content, there := fields.Get("content")
	_, calls := fields.Get("tool_calls")
	switch x := content.(type) {
	case string:
		m.Content = x
	case nil:
		if !calls && m.Role != "assistant" || !there && !calls {
			return m, failure.Data("messages[%d] (role %q) must have a \"content\"", i, m.Role)
		}
	default:
		if _, ok := jinja.Items(content); !ok {
			return m, failure.Data("messages[%d].content must be a string or a list of parts", i)
		}
	}
	return m, nil
}

// value is the message as a template sees it.
func (m Message) value() *jinja.Dict {
	d := jinja.NewDict()
	for _, k := range m.Fields.Keys() {
		v, _ := m.Fields.Get(k)
		d.Set(k, v)
	}
	if m.Fields == nil || m.Role != "" {
		d.Set("role", m.Role)
	}
	if m.Fields == nil || m.Content != "" {
		d.Set("content", m.Content)
	}
	return d
}
