package operate

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// template is a CloudFormation template. It evaluates the functions that the templates of
// deploy/ use.
type template struct {
	t          *testing.T
	parameters map[string]string
	root       *yaml.Node
}

// The account and region of an evaluated stack.
const (
	stackRegion  = "eu-west-1"
	stackAccount = "000000000000"
)

// noValue is what AWS::NoValue removes.
type noValue struct{}

func readTemplate(t *testing.T, name string, parameters map[string]string) *template {
	t.Helper()
	text, err := os.ReadFile("../../deploy/cloudformation/" + name)
	must(t, err)
	var document yaml.Node
	must(t, yaml.Unmarshal(text, &document))
	return &template{t, parameters, document.Content[0]}
}

// at returns the value under some keys; nil: none.
func (c *template) at(keys ...string) *yaml.Node {
	n := c.root
	for _, key := range keys {
		if n = under(n, key); n == nil {
			return nil
		}
	}
	return n
}

func under(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// resourcesOf returns the names of the resources of a type.
func (c *template) resourcesOf(kind string) (names []string) {
	all := c.at("Resources").Content
	for i := 0; i < len(all); i += 2 {
		if c.kind(all[i].Value) == kind {
			names = append(names, all[i].Value)
		}
	}
	return names
}

// kind returns the type of a resource; empty: no resource has this name.
func (c *template) kind(name string) string {
	if n := c.at("Resources", name, "Type"); n != nil {
		return n.Value
	}
	return ""
}

// resource returns the properties of a resource. Whole numbers are int, other scalars
// text.
func (c *template) resource(name string) map[string]any {
	c.t.Helper()
	n := c.at("Resources", name, "Properties")
	if n == nil {
		c.t.Fatalf("the template has no resource %s", name)
	}
	properties, _ := c.value(n).(map[string]any)
	return properties
}

func (c *template) value(n *yaml.Node) any {
	if f, is := strings.CutPrefix(n.Tag, "!"); is && !strings.HasPrefix(f, "!") {
		return c.function(f, n)
	}
	switch n.Kind {
	case yaml.ScalarNode:
		if i, err := strconv.Atoi(n.Value); err == nil && n.Tag == "!!int" {
			return i
		}
		return n.Value
	case yaml.SequenceNode:
		return c.list(n)
	case yaml.MappingNode:
		return c.object(n)
	}
	c.t.Fatalf("line %d: aliases are not for CloudFormation", n.Line)
	return nil
}

func (c *template) list(n *yaml.Node) []any {
	all := []any{}
	for _, item := range n.Content {
		if v := c.value(item); v != (noValue{}) {
			all = append(all, v)
		}
	}
	return all
}

func (c *template) object(n *yaml.Node) any {
	all := map[string]any{}
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i].Value
		if f, is := strings.CutPrefix(key, "Fn::"); is {
			return c.function(f, n.Content[i+1])
		}
		if v := c.value(n.Content[i+1]); v != (noValue{}) {
			all[key] = v
		}
	}
	return all
}

func (c *template) function(name string, n *yaml.Node) any {
	switch name {
	case "Ref":
		return c.ref(n.Value)
	case "GetAtt":
		return c.attribute(n.Value)
	case "Sub":
		return c.sub(n)
	case "Join":
		return strings.Join(c.texts(n.Content[1]), n.Content[0].Value)
	case "Split":
		return anyOf(strings.Split(c.text(n.Content[1]), n.Content[0].Value))
	case "Select":
		i, err := strconv.Atoi(n.Content[0].Value)
		must(c.t, err)
		return c.texts(n.Content[1])[i]
	case "Equals":
		return c.text(n.Content[0]) == c.text(n.Content[1])
	case "Not":
		return c.value(n.Content[0]) != true
	case "If":
		if c.holds(n.Content[0].Value) {
			return c.value(n.Content[1])
		}
		return c.value(n.Content[2])
	}
	c.t.Fatalf("line %d: the function %s is not supported", n.Line, name)
	return nil
}

func (c *template) holds(condition string) bool {
	n := c.at("Conditions", condition)
	if n == nil {
		c.t.Fatalf("the template has no condition %s", condition)
	}
	return c.value(n) == true
}

func (c *template) text(n *yaml.Node) string {
	text, is := c.value(n).(string)
	if !is {
		c.t.Fatalf("line %d: no text", n.Line)
	}
	return text
}

func (c *template) texts(n *yaml.Node) (all []string) {
	list, is := c.value(n).([]any)
	if !is {
		c.t.Fatalf("line %d: no list", n.Line)
	}
	for _, item := range list {
		all = append(all, item.(string))
	}
	return all
}

func anyOf(texts []string) (all []any) {
	for _, text := range texts {
		all = append(all, text)
	}
	return all
}

// sub evaluates a text with variables, with or without values for some of them.
func (c *template) sub(n *yaml.Node) string {
	text, own := n.Value, map[string]string{}
	if n.Kind == yaml.SequenceNode {
		text = n.Content[0].Value
		for i := 0; i < len(n.Content[1].Content); i += 2 {
			own[n.Content[1].Content[i].Value] = c.text(n.Content[1].Content[i+1])
		}
	}
	return os.Expand(text, func(name string) string {
		value, is := own[name]
		switch {
		case is:
			return value
		case strings.Contains(name, ".") && !strings.HasPrefix(name, "AWS::"):
			return c.attribute(name)
		}
		value, _ = c.ref(name).(string)
		return value
	})
}

// ref returns the value of a parameter, a pseudo parameter, or the name of a resource.
func (c *template) ref(name string) any {
	pseudo := map[string]any{
		"AWS::NoValue": noValue{}, "AWS::Region": stackRegion, "AWS::AccountId": stackAccount, "AWS::Partition": "aws", "AWS::StackName": "status",
	}
	if value, is := pseudo[name]; is {
		return value
	}
	if value, is := c.parameters[name]; is {
		return value
	}
	if n := c.at("Parameters", name, "Default"); n != nil {
		return n.Value
	}
	if c.at("Parameters", name) == nil && c.kind(name) == "" {
		c.t.Fatalf("the template refers to %s, which it does not have", name)
	}
	return name
}

// attribute returns an attribute of a resource. The ARNs of queues and rules are those
// that AWS gives them.
func (c *template) attribute(path string) string {
	name, _, _ := strings.Cut(path, ".")
	switch kind := c.kind(name); {
	case !strings.HasSuffix(path, ".Arn"):
	case kind == "AWS::SQS::Queue":
		queue, _ := c.resource(name)["QueueName"].(string)
		return "arn:aws:sqs:" + stackRegion + ":" + stackAccount + ":" + queue
	case kind == "AWS::Events::Rule":
		rule, _ := c.ref("Name").(string)
		if bus := c.ref("EventBusName"); bus != DefaultBus {
			rule = bus.(string) + "/" + rule
		}
		return "arn:aws:events:" + stackRegion + ":" + stackAccount + ":rule/" + rule
	}
	return path
}
