module private-ai.test/probe

go 1.26.0
