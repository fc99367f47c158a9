package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
)

func main() {
	body := fmt.Sprintf(`{"executionArn":%q,"owner":"ada"}`, os.Getenv("ARN"))
	request, err := http.NewRequest(http.MethodPost, os.Getenv("STATUS_URL")+"/v1/executions", strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("STATUS_TOKEN"))
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	fmt.Println(answer.Status) // 201, or 200 if it was registered before
}
