// Calls every operation of the plan with the client that oapi-codegen has generated.
package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"

	"certgate.test/generated/api"
)

type call struct {
	ID         string            `json:"id"`
	Path       string            `json:"path"`
	Parameters map[string]string `json:"parameters"`
	Query      map[string]any    `json:"query"`
	Body       json.RawMessage   `json:"body"`
}

// The plain letters and digits of a name: generators write operation IDs in their own ways.
func plain(name string) string {
	keep := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}
	return strings.Map(keep, strings.ToLower(name))
}

func pathValues(path string, values map[string]string) []string {
	var found []string
	for _, part := range strings.Split(path, "/") {
		if strings.HasPrefix(part, "{") {
			found = append(found, values[strings.Trim(part, "{}")])
		}
	}
	return found
}

func TestEveryOperation(t *testing.T) {
	text, err := os.ReadFile(os.Getenv("CERTGATE_TEST_PLAN"))
	if err != nil {
		t.Fatal(err)
	}
	var plan []call
	if err := json.Unmarshal(text, &plan); err != nil {
		t.Fatal(err)
	}
	authorize := func(_ context.Context, request *http.Request) error {
		request.Header.Set("Authorization", "Bearer "+os.Getenv("CERTGATE_TEST_TOKEN"))
		return nil
	}
	server := os.Getenv("CERTGATE_TEST_URL")
	client, err := api.NewClient(server, api.WithRequestEditorFn(authorize))
	if err != nil {
		t.Fatal(err)
	}
	methods := map[string]reflect.Value{}
	value := reflect.ValueOf(client)
	for i := 0; i < value.NumMethod(); i++ {
		methods[plain(value.Type().Method(i).Name)] = value.Method(i)
	}
	for _, call := range plan {
		name := plain(call.ID)
		hasBody := string(call.Body) != "null"
		method, found := methods[name]
		// Without a body, the variant for any body has none.
		if withBody, exists := methods[name+"withbody"]; exists && !hasBody {
			method = withBody
		}
		if !found {
			t.Errorf("%s has no method", call.ID)
			continue
		}
		results := method.Call(arguments(t, method.Type(), call, hasBody))
		if err, failed := results[1].Interface().(error); failed {
			t.Errorf("%s: %v", call.ID, err)
			continue
		}
		response := results[0].Interface().(*http.Response)
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		fmt.Printf("CALLED %s %d\n", call.ID, response.StatusCode)
	}
}

func arguments(t *testing.T, kind reflect.Type, call call, hasBody bool) []reflect.Value {
	values := pathValues(call.Path, call.Parameters)
	given := []reflect.Value{reflect.ValueOf(context.Background())}
	for i := 1; i < kind.NumIn()-1; i++ {
		parameter := kind.In(i)
		switch {
		case len(values) > 0 && i <= len(call.Parameters):
			made := reflect.New(parameter)
			quoted, _ := json.Marshal(values[i-1])
			if err := json.Unmarshal(quoted, made.Interface()); err != nil {
				t.Fatalf("%s: %v", call.ID, err)
			}
			given = append(given, made.Elem())
		case parameter.Kind() == reflect.Pointer:
			made := reflect.New(parameter.Elem())
			query, _ := json.Marshal(call.Query)
			if err := json.Unmarshal(query, made.Interface()); err != nil {
				t.Fatalf("%s: %v", call.ID, err)
			}
			given = append(given, made)
		case parameter.Kind() == reflect.String && !hasBody:
			given = append(given, reflect.ValueOf("application/json"))
		case parameter.Kind() == reflect.Interface:
			given = append(given, reflect.ValueOf(strings.NewReader("")))
		default:
			made := reflect.New(parameter)
			if err := json.Unmarshal(call.Body, made.Interface()); err != nil {
				t.Fatalf("%s: %v", call.ID, err)
			}
			given = append(given, made.Elem())
		}
	}
	return given
}
