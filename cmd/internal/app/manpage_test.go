package app

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func manPageOf(t *testing.T, root *cobra.Command, args ...string) string {
	t.Helper()
	var out strings.Builder
	root.SetOut(&out)
	root.AddCommand(ManCommand())
	root.SetArgs(append([]string{"man"}, args...))
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestManualHasEachOptionAndCommand(t *testing.T) {
	t.Parallel()
	run := func(*cobra.Command, []string) {}
	root := &cobra.Command{Use: "prog", Short: "Do things", Version: "v1"}
	keys := &cobra.Command{Use: "keys", Short: "Manage keys"}
	keys.PersistentFlags().String("redis-url", "redis://localhost", "where Redis is (REDIS_URL)")
	create := &cobra.Command{Use: "create FILE", Long: "Create a key.\n\nLike this:\n\n\tprog keys create -\n", Example: "  prog keys create a", Run: run}
	create.Flags().Bool("json", false, "print JSON")
	create.Flags().Int("secret", 0, "not for people")
	_ = create.Flags().MarkHidden("secret")
	keys.AddCommand(create, &cobra.Command{Use: "inner", Hidden: true, Run: run})
	root.AddCommand(keys)
	page := manPageOf(t, root, "2026-01-02")
	for _, want := range []string{
		".TH PROG 1 \"2026\\-01\\-02\" \"prog v1\"",
		".SH NAME\nprog \\- Do things\n",
		".SS \"prog keys create FILE [flags]\"\nCreate a key.\n",
		".nf\n.RS\nprog keys create \\-\n.RE\n.fi\n",
		"\\fB\\-\\-redis\\-url\\fR \\fIstring\\fR\nwhere Redis is (REDIS_URL) (default redis://localhost)\n",
		"\\fB\\-\\-json\\fR\nprint JSON\n",
		".SH ENVIRONMENT\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	for _, hidden := range []string{"inner", "secret", "prog man"} {
		if strings.Contains(page, hidden) {
			t.Errorf("%q is in\n%s", hidden, page)
		}
	}
}

func TestManualKeepsWhatRoffWouldRead(t *testing.T) {
	t.Parallel()
	root := &cobra.Command{Use: "prog", Short: "Do", Long: ".env is read.\nIt's \\n \"quoted\" -x", Run: func(*cobra.Command, []string) {}}
	want := "\n\\&.env is read.\nIt\\(aqs \\en \\(dqquoted\\(dq \\-x\n"
	if page := manPageOf(t, root); !strings.Contains(page, want) {
		t.Errorf("no %q in\n%s", want, page)
	}
}
