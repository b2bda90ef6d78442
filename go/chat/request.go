package chat

import (
	"github.com/graftlm/graft/go/chat/jinja"
	"github.com/graftlm/graft/go/failure"
)

// ParseRequest reads what is to be rendered: an object with "messages" and, if
// wanted, "tools", "add_generation_prompt" and "kwargs" (further variables of
// the template; "chat_template_kwargs" of a training record are the same).
// Messages are any objects: what is missing in them is for the template to
// say, as in transformers. Errors are failure.Data.
func ParseRequest(data []byte) (Conversation, Options, error) {
	var c Conversation
	var o Options
	record, err := decodeObject(data, "a request must be a JSON object with \"messages\"")
	if err != nil {
		return c, o, err
	}
	list, _ := record.Get("messages")
	items, ok := jinja.Items(list)
	if !ok {
		return c, o, failure.Data("\"messages\" must be a list of messages")
	}
	for i, item := range items {
		fields, ok := item.(*jinja.Dict)
		if !ok {
			return c, o, failure.Data("messages[%d] must be an object", i)
		}
		m := Message{Fields: fields}
		role, _ := fields.Get("role")
		content, _ := fields.Get("content")
		m.Role, _ = role.(string)
		m.Content, _ = content.(string)
		c.Messages = append(c.Messages, m)
	}
	prompt, _ := record.Get("add_generation_prompt")
	if o.AddGenerationPrompt, ok = prompt.(bool); !ok && prompt != nil {
		return c, o, failure.Data("\"add_generation_prompt\" must be true or false")
	}
	return c, o, c.extras(record, "chat_template_kwargs", "kwargs")
}

func decodeObject(data []byte, what string) (*jinja.Dict, error) {
	v, err := jinja.DecodeJSON(data)
	if err != nil {
		return nil, failure.Data("%w", err)
	}
	record, ok := v.(*jinja.Dict)
	if !ok {
		return nil, failure.Data("%s", what)
	}
	return record, nil
}

// extras reads the tools, and the variables under the keys named.
func (c *Conversation) extras(record *jinja.Dict, keys ...string) error {
	tools, _ := record.Get("tools")
	if text, ok := tools.(string); ok { // a table has no type for them but text
		var err error
		if tools, err = jinja.DecodeJSON([]byte(text)); err != nil {
			return failure.Data("\"tools\" must be a list, or one as JSON in a string: %w", err)
		}
	}
	if tools != nil {
		var ok bool
		if c.Tools, ok = jinja.Items(tools); !ok {
			return failure.Data("\"tools\" must be a list")
		}
	}
	for _, key := range keys {
		kwargs, _ := record.Get(key)
		if kwargs == nil {
			continue
		}
		d, ok := kwargs.(*jinja.Dict)
		if !ok {
			return failure.Data("%q must be an object", key)
		}
		if c.Kwargs == nil {
			c.Kwargs = map[string]any{}
		}
		for _, k := range d.Keys() {
			c.Kwargs[k], _ = d.Get(k)
		}
	}
	return nil
}
